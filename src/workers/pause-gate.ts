import type { AccountTrouble } from '../otp/outcome.js';
import type { Provider } from '../otp/provider.js';
import type { Pause } from '../store/sending-pause.js';
import type { Store } from '../store/store.js';
import type { Logger } from './logger.js';

/** How often a worker looks whether another one met account trouble, or its end. */
const lookEveryMs = 1_000;
/** How often one worker of all asks the provider whether the trouble is over. */
const probeEveryMs = 10_000;

/** Account trouble, as one worker process sees it: while closed, it takes no job. */
export interface PauseGate {
  readonly closed: boolean;
  /** Closes at once here, and within a second in every other worker. */
  report(report: { trouble: AccountTrouble; claimedAt: number; credits: number }): Promise<void>;
  /** One look at the shared state, and a probe if it is this worker's turn. */
  look(): Promise<void>;
  readonly lookEveryMs: number;
}

export interface PauseGateDependencies {
  store: Pick<Store, 'sendingPause' | 'holdLease'>;
  provider: Provider;
  /** Told of each change, with the new state. */
  onChange: (closed: boolean) => void;
  logger: Logger;
}

export function createPauseGate({ store, provider, onChange, logger }: PauseGateDependencies): PauseGate {
  let closed = false;
  const set = (next: boolean) => {
    if (closed === next) return;
    closed = next;
    onChange(next);
  };
  const probe = async (pause: Pause) => {
    const balance = await provider.balance();
    if (balance.kind !== 'known' || balance.credits < pause.creditsNeeded) return;
    if (await store.sendingPause.resume()) {
      logger.info(
        { event: 'sending.resumed', trouble: pause.trouble, credits: balance.credits },
        'sending resumed',
      );
    }
    set(false);
  };
  return {
    get closed() {
      return closed;
    },
    lookEveryMs,
    report: async (report) => {
      set(true);
      const began = await store.sendingPause.report(report);
      if (began)
        logger.error({ event: 'sending.paused', trouble: report.trouble }, 'sending paused: account trouble');
      set((await store.sendingPause.read()) !== null);
    },
    look: async () => {
      const pause = await store.sendingPause.read();
      set(pause !== null);
      if (pause && (await store.holdLease('probe', probeEveryMs))) await probe(pause);
    },
  };
}

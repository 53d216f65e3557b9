import { randomText } from '../otp/otp-id.js';
import type { AccountTrouble, BalanceOutcome } from '../otp/outcome.js';
import type { Provider } from '../otp/provider.js';
import type { Pause, RefusalVerdict, RefusedCall } from '../store/sending-pause.js';
import type { Store } from '../store/store.js';
import { leastCredits } from './credits.js';
import type { Logger } from './logger.js';

/** How often a worker looks whether another one met account trouble, or its end. */
const lookEveryMs = 1_000;
/** How often one worker of all asks the provider whether the trouble is over. */
const probeEveryMs = 10_000;
/** The worker that tries OTPs keeps doing so while it says so this often. */
const trialLeaseMs = 5_000;
/** With a good balance and no OTP to try, trouble that a balance call would tell counts as over after so long. */
const idleTrialMs = 30_000;

/** `open`: OTPs are sent. `trial`: this worker sends one at a time, all others none. `closed`: it takes no job. */
export type GateState = 'open' | 'trial' | 'closed';

/** Account trouble, as one worker process sees it. */
export interface PauseGate {
  readonly state: GateState;
  /** Closes at once here, and within a second in every other worker. */
  report(report: { trouble: AccountTrouble; claimedAt: number }): Promise<void>;
  /** Notes a refusal in unknown words, and what is known of others; closes when that pauses sending. */
  noteRefusal(refusal: {
    claimedAt: number;
    text: string;
    inARow: readonly RefusedCall[];
  }): Promise<'held' | 'again' | 'paused'>;
  /** Notes an accepted call: within a second, or at once where that may end a pause (`urgent`: or a row of refusals). */
  noteAccepted(claimedAt: number, urgent: boolean): Promise<void>;
  judgeRefusal(claimedAt: number): Promise<RefusalVerdict>;
  /** One look at the shared state, and a probe if it is this worker's turn. */
  look(): Promise<void>;
  readonly lookEveryMs: number;
}

export interface PauseGateDependencies {
  store: Pick<Store, 'sendingPause' | 'holdLease' | 'keepLease'>;
  provider: Pick<Provider, 'balance'>;
  /** Told of each change, with the new state. */
  onChange: (state: GateState) => void;
  logger: Logger;
}

export function createPauseGate({ store, provider, onChange, logger }: PauseGateDependencies): PauseGate {
  const { sendingPause } = store;
  const token = randomText();
  let state: GateState = 'open';
  let acceptedAt: number | null = null;
  let triedAt = 0;
  /** What this process is about to write down is newer than what it reads. */
  let writing = 0;
  const set = (next: GateState) => {
    if (state === next) return;
    state = next;
    triedAt = performance.now();
    onChange(next);
  };
  let trouble: AccountTrouble | null = null;
  const logResumed = (resumed: boolean) => {
    if (resumed) logger.info({ event: 'sending.resumed', trouble }, 'sending resumed');
  };
  const logPaused = (trouble: AccountTrouble, refusal: string) =>
    logger.error(
      { event: 'sending.paused', trouble, ...(refusal && { refusal }) },
      'sending paused: account trouble',
    );
  const write = async <T>(work: () => Promise<T>): Promise<T> => {
    writing += 1;
    return await work().finally(() => {
      writing -= 1;
    });
  };
  /** Takes a turn at trying OTPs, or leaves it to the worker that has it. */
  const takeTrial = async () => {
    set((await store.keepLease('trial', token, trialLeaseMs)) ? 'trial' : 'closed');
    const idle = state === 'trial' && performance.now() - triedAt >= idleTrialMs;
    // Words that nobody knows are only proven over by an accepted call.
    if (!idle || trouble === 'unrecognised_refusal') return;
    logResumed(await sendingPause.resume());
    set('open');
  };
  const probe = async (pause: Pause) => {
    if (pause.tryInMs > 0 || !(await store.holdLease('probe', probeEveryMs))) return;
    if (!mayBeOver(await provider.balance())) return;
    if (!(await sendingPause.startTrying())) return;
    logger.info({ event: 'sending.trying', trouble: pause.trouble }, 'OTPs are sent one at a time');
    await takeTrial();
  };
  const flush = async () => {
    if (acceptedAt === null) return;
    const newest = acceptedAt;
    acceptedAt = null;
    if (!(await sendingPause.noteAccepted(newest))) return;
    logResumed(true);
    set('open');
  };
  return {
    get state() {
      return state;
    },
    lookEveryMs,
    report: async (report) => {
      set('closed');
      if (await write(() => sendingPause.report(report))) logPaused(report.trouble, '');
      if ((await sendingPause.read()) === null) set('open');
    },
    noteRefusal: async (refusal) => {
      triedAt = performance.now();
      const { kind, began } = await write(() => sendingPause.noteRefusal(refusal));
      if (kind === 'paused') set('closed');
      if (began) logPaused('unrecognised_refusal', refusal.text);
      return kind;
    },
    noteAccepted: async (claimedAt, urgent) => {
      acceptedAt = Math.max(acceptedAt ?? 0, claimedAt);
      if (urgent || state !== 'open') await flush();
    },
    judgeRefusal: (claimedAt) => sendingPause.judgeRefusal(claimedAt),
    look: async () => {
      await flush();
      const before = state;
      const pause = await sendingPause.read();
      if (writing > 0 || state !== before) return;
      if (!pause) return set('open');
      ({ trouble } = pause);
      if (pause.trying) return await takeTrial();
      set('closed');
      await probe(pause);
    },
  };
}

/** Whether a balance call leaves hope that OTPs are sent again; an answer that cannot be read says nothing. */
function mayBeOver(balance: BalanceOutcome): boolean {
  if (balance.kind === 'known') return balance.credits >= leastCredits;
  return balance.kind === 'unavailable' && balance.reason.startsWith('reply_');
}

import type { Logger } from '../lib/logger.js';
import { randomText } from '../otp/otp-id.js';
import type { AccountTrouble, BalanceOutcome } from '../otp/outcome.js';
import type { Provider } from '../otp/provider.js';
import type { Pause } from '../store/sending-pause.js';
import type { Store } from '../store/store.js';
import { leastCredits } from './balance.js';

/** How often a worker reads whether another one met account trouble, or its end. */
const checkEveryMs = 1_000;
/** How often one worker of all makes a balance call to learn whether the trouble is over. */
const probeEveryMs = 10_000;
/**
 * The lease of the worker that tries OTPs. A worker that made no call within it leaves the next turn to others: it may
 * serve no queue with OTPs, or wait for a call that hangs.
 */
const trialLeaseMs = 5_000;
/** With a good balance, trouble is over when no OTP met it during this time of trials. */
const trialsLastMs = 30_000;

/** `open`: OTPs are sent. `trial`: this worker sends one at a time, all others none. `closed`: it takes no job. */
export type GateState = 'open' | 'trial' | 'closed';

/** Account trouble, as one worker process sees it. */
export type PauseGate = ReturnType<typeof createPauseGate>;

export function createPauseGate(options: {
  store: Pick<Store, 'sendingPause' | 'acquireLease' | 'renewLease'>;
  provider: Pick<Provider, 'balance'>;
  now: () => number;
  onChange: (state: GateState) => void;
  /** Called when a pause is over. */
  onResumed: () => void;
  logger: Logger;
}) {
  const { store, provider, now, onChange, onResumed, logger } = options;
  const { sendingPause } = store;
  const token = randomText();
  let state: GateState = 'open';
  /** Why sending is paused, as last read from Redis. */
  let trouble: AccountTrouble | null = null;
  let acceptedAt: number | null = null;
  let calledAt = now();
  let skipUntil = 0;
  /** Writes under way, which are newer than what is read meanwhile. */
  let writing = 0;
  const set = (next: GateState) => {
    if (state === next) return;
    if (next === 'trial') calledAt = now();
    state = next;
    onChange(next);
    if (next !== 'open' || trouble === null) return;
    trouble = null;
    onResumed();
  };
  const logResumed = () => logger.info({ event: 'sending.resumed', trouble }, 'sending resumed');
  /** Tries OTPs if this worker gets the lease, or keeps it. */
  const takeTrial = async (triedForMs: number) => {
    if (triedForMs >= trialsLastMs) {
      if (await sendingPause.resume()) logResumed();
      return set('open');
    }
    if (state === 'trial' && now() - calledAt >= trialLeaseMs)
      skipUntil = now() + trialLeaseMs + 2 * checkEveryMs;
    const mayTry = now() >= skipUntil && (await store.renewLease('trial', token, trialLeaseMs));
    set(mayTry ? 'trial' : 'closed');
  };
  const probe = async (pause: Pause) => {
    if (pause.tryInMs > 0 || !(await store.acquireLease('probe', probeEveryMs))) return;
    if (!mayBeOver(await provider.balance())) return;
    if (!(await sendingPause.startTrying())) return;
    logger.info({ event: 'sending.probing', trouble: pause.trouble }, 'OTPs are sent one at a time');
    await takeTrial(0);
  };
  const flush = async () => {
    if (acceptedAt === null) return;
    const claimedAt = acceptedAt;
    const resumed = await sendingPause.resume({ claimedAt });
    if (acceptedAt === claimedAt) acceptedAt = null;
    if (!resumed) return;
    logResumed();
    set('open');
  };
  return {
    get state() {
      return state;
    },
    checkEveryMs,
    /** Closes at once here, and within a second in every other worker. */
    report: async (report: { trouble: AccountTrouble; claimedAt: number }) => {
      set('closed');
      writing += 1;
      const known = await sendingPause.report(report).finally(() => {
        writing -= 1;
      });
      if (known !== 'ignored') ({ trouble } = report);
      else if (trouble === null) set('open');
      if (known !== 'began') return;
      const about = { event: 'sending.paused', trouble: report.trouble };
      logger.error(about, 'sending paused: account trouble');
    },
    /** To be called when a call begins. */
    noteCall: () => {
      calledAt = now();
    },
    /** An accepted call ends the pause. What Redis does not take is written with the next `check`. */
    noteAccepted: (claimedAt: number) => {
      if (state === 'open') return;
      acceptedAt = Math.max(acceptedAt ?? 0, claimedAt);
      flush().catch(() => {});
    },
    /** Reads the shared state, and probes if it is this worker's turn. */
    check: async () => {
      await flush();
      const before = state;
      const pause = await sendingPause.read();
      if (writing > 0 || state !== before) return;
      if (!pause) return set('open');
      ({ trouble } = pause);
      if (pause.triedForMs !== null) return await takeTrial(pause.triedForMs);
      set('closed');
      await probe(pause);
    },
  };
}

/** Whether a balance call allows a trial; so does an answer that cannot be read. */
function mayBeOver(balance: BalanceOutcome): boolean {
  if (balance.kind === 'known') return balance.credits >= leastCredits;
  return balance.kind === 'unavailable' && balance.reason.startsWith('reply_');
}

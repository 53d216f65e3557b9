import type { Logger } from '../lib/logger.js';
import { shared } from '../lib/memoize.js';
import { withTimeout, withTimeouts } from '../lib/with-timeout.js';
import type { PhoneNumber } from '../otp/phone-number.js';
import type { AppHolds, RefusedCall } from '../store/app-holds.js';
import type { EarlierRefusal } from '../store/send-attempts.js';
import type { Store } from '../store/store.js';

/**
 * Refused numbers in a row from which an app's calls are made one at a time: one if none of its calls was accepted
 * lately, else two, or an eighth of its calls in flight if that is more.
 */
const oneAtATimeFrom = { unproven: 1, proven: 2, shareInFlight: 1 / 8 };
const acceptedLatelyMs = 60_000;
/** Older refusals say nothing about new calls. */
const refusalKeptMs = 10_000;
/** Refusals beside a call that hangs are written after this time, before any of them counts as its OTP's own. */
const writeAfterMs = 1_500;
/** Deadline for Redis, so that the OTP's attempt does not expire meanwhile. */
const redisWithinMs = 500;
/** When Redis is asked again about a trial after it did not answer. */
const askAgainMs = 1_000;
const syncEveryMs = 1_000;
/** How long an OTP of a paused app waits at least. The more wait, the longer: at most a thousand a second come back. */
const pausedWaitMs = { least: 2_000, perWaiting: 1 };

/** Permission to call for an OTP of an app. */
export interface AppPermit {
  /** True for the one call that tests whether the app's hold may end. */
  trial: boolean;
  /**
   * Reports that the call was answered, or not made, which gives a trial back. Further reports are ignored. Resolves
   * within half a second: the app's last call writes its refusals; while it does, an app with one call at a time waits.
   */
  release(called: boolean): Promise<void>;
}

/** Paused apps, and unrecognised refusals with the holds that follow from them, as one worker process sees them. */
export type AppGate = ReturnType<typeof createAppGate>;

interface AppState {
  inFlight: number;
  /** Refusals of calls claimed after the newest accepted one, by number, with the time of each. */
  refusals: Map<string, RefusedCall & { text: string; at: number; written: boolean }>;
  acceptedAt: number;
  /** When a call may test the app's hold; null: the app is not on hold. */
  tryAt: number | null;
}

export function createAppGate(options: {
  appHolds: AppHolds;
  appPauses: Pick<Store['appPauses'], 'read'>;
  /** The number of delayed jobs in the send queue. */
  delayedJobs: () => Promise<number>;
  logger: Logger;
  now: () => number;
}) {
  const { appHolds, appPauses, delayedJobs, logger, now } = options;
  const { takeTrial, returnTrial, noteRefusals, classifyRefusal } = withTimeouts(appHolds, redisWithinMs);
  const apps = new Map<string, AppState>();
  /** Null: not read yet, as when the process has just started. */
  let paused: ReadonlyMap<string, number> | null = null;
  let delayed = 0;
  /** Accepted calls that are not written to Redis yet: the newest claim of each app. */
  let accepted = new Map<string, number>();
  /** Counts changes here, which are newer than a read that began before. */
  let changes = 0;

  const stateOf = (app: string): AppState => {
    const state = apps.get(app) ?? {
      inFlight: 0,
      refusals: new Map(),
      acceptedAt: -acceptedLatelyMs,
      tryAt: null,
    };
    apps.set(app, state);
    return state;
  };
  const readPaused = async () => {
    paused = await appPauses.read();
    if (paused.size > 0) delayed = await withTimeout(delayedJobs(), redisWithinMs).catch(() => delayed);
  };
  const callsOneAtATime = ({ refusals, acceptedAt, inFlight }: AppState) => {
    for (const [number, { at }] of refusals) if (now() - at > refusalKeptMs) refusals.delete(number);
    const { unproven, proven, shareInFlight } = oneAtATimeFrom;
    const isProven = now() - acceptedAt < acceptedLatelyMs;
    return refusals.size >= (isProven ? Math.max(proven, inFlight * shareInFlight) : unproven);
  };
  const endHold = (state: AppState) => {
    state.tryAt = null;
    state.refusals.clear();
    changes += 1;
  };
  /** `trial`: this call tests the hold; `free`: the hold is over. */
  const askForTrial = async (app: string, state: AppState): Promise<'trial' | 'free' | 'on_hold'> => {
    const waitMs = await takeTrial(app).catch(() => askAgainMs);
    if (waitMs === null) endHold(state);
    else state.tryAt = now() + (waitMs || askAgainMs);
    if (waitMs === null) return 'free';
    return waitMs === 0 ? 'trial' : 'on_hold';
  };
  const unwritten = ({ refusals }: AppState) => [...refusals.values()].filter(({ written }) => !written);
  const writeRefusals = async (app: string, state: AppState) => {
    const refusals = [...state.refusals.values()];
    const text = refusals.at(-1)?.text ?? '';
    // Counts as a call: while refusals are written, an app limited to one call at a time makes none.
    state.inFlight += 1;
    const noted = await noteRefusals({ app, text, refusals }).catch(() => null);
    state.inFlight -= 1;
    if (!noted) return;
    for (const call of refusals) call.written = true;
    if (!noted.onHold) return;
    changes += 1;
    state.tryAt ??= now() + askAgainMs;
    if (!noted.began) return;
    const about = { event: 'sending.paused', trouble: 'unrecognised_refusal', app, refusal: text };
    logger.error(about, 'sending paused for an app: iSMS refuses its OTPs with an unknown text (`refusal`)');
  };
  const giveTrialBack = async (app: string, state: AppState) => {
    const returned = await returnTrial(app)
      .then(() => true)
      .catch(() => false);
    // Otherwise the next trial comes with the next interval.
    if (!returned || state.tryAt === null) return;
    state.tryAt = now();
    changes += 1;
  };
  const permit = (app: string, state: AppState, trial: boolean): AppPermit => {
    let released = false;
    state.inFlight += 1;
    return {
      trial,
      release: async (called) => {
        if (released) return;
        released = true;
        state.inFlight -= 1;
        if (trial && !called) await giveTrialBack(app, state);
        // Calls under way may still be accepted; the last of them writes all refusals.
        if (state.inFlight === 0 && unwritten(state).length > 0) await writeRefusals(app, state);
      },
    };
  };
  /** Writes refusals that a hanging call delays, or that Redis did not take. */
  const writeOldRefusals = async () => {
    const isDue = (state: AppState) => {
      const isOld = unwritten(state).some(({ at }) => now() - at >= writeAfterMs);
      return isOld && (state.inFlight === 0 || callsOneAtATime(state));
    };
    await Promise.all([...apps].map(([app, state]) => isDue(state) && writeRefusals(app, state)));
  };
  const writeAccepted = async () => {
    if (accepted.size === 0) return;
    const newest = accepted;
    accepted = new Map();
    try {
      for (const app of await appHolds.noteAccepted(newest)) {
        endHold(stateOf(app));
        const about = { event: 'sending.resumed', trouble: 'unrecognised_refusal', app };
        logger.info(about, 'sending resumed for an app');
      }
    } catch (error) {
      for (const [app, at] of newest) accepted.set(app, Math.max(at, accepted.get(app) ?? 0));
      throw error;
    }
  };
  /** One write at a time: calls accepted meanwhile go with the next. */
  const flush = shared(writeAccepted);

  return {
    /** True while the app is paused or on hold, as far as is known here. */
    isClosed: (app: string) => paused?.has(app) === true || stateOf(app).tryAt !== null,
    /** How long an OTP of a paused app waits at least. */
    pausedWaitMs: () => Math.max(pausedWaitMs.least, pausedWaitMs.perWaiting * delayed),
    /**
     * `paused` by an operator, or `on_hold`: the app's OTPs wait; `busy`: its calls are made one at a time, and one is
     * under way.
     */
    acquire: async (app: string) => {
      // On a cluster a master may be away, which delays OTPs of others by this time only.
      if (!paused) await withTimeout(readPaused(), redisWithinMs).catch(() => {});
      if (paused?.has(app)) return 'paused';
      const state = stateOf(app);
      if (state.tryAt !== null && now() < state.tryAt) return 'on_hold';
      const asked = state.tryAt === null ? 'free' : await askForTrial(app, state);
      if (asked === 'on_hold') return asked;
      if (asked === 'free' && state.inFlight > 0 && callsOneAtATime(state)) return 'busy';
      return permit(app, state, asked === 'trial');
    },
    /** Written at once if refusals of the app are known here, else with the next `sync`. */
    noteAccepted: ({ app, claimedAt }: { app: string; claimedAt: number }) => {
      const state = stateOf(app);
      state.acceptedAt = now();
      // Refusals of calls claimed before this one say nothing about the account.
      const isUrgent = state.refusals.size > 0 || state.tryAt !== null;
      for (const [number, call] of state.refusals)
        if (call.claimedAt < claimedAt) state.refusals.delete(number);
      accepted.set(app, Math.max(claimedAt, accepted.get(app) ?? 0));
      // A write for each send would cost a tenth of its CPU (measured). The next sync writes what Redis does not take.
      if (isUrgent) flush().catch(() => {});
    },
    /** Counts here at once; written when the app's last call ends. */
    noteRefusal: (call: { app: string; to: PhoneNumber; claimedAt: number; text: string }) => {
      const { app, to, claimedAt, text } = call;
      stateOf(app).refusals.set(to.e164, { to, claimedAt, text, at: now(), written: false });
    },
    /** `held` if Redis does not answer, or this refusal is not written yet. */
    classifyRefusal: async (app: string, refusal: EarlierRefusal) => {
      if (unwritten(stateOf(app)).some(({ claimedAt }) => claimedAt === refusal.claimedAt)) return 'held';
      return await classifyRefusal(app, refusal).catch(() => 'held' as const);
    },
    /** Reads which apps are paused or on hold; writes what Redis did not take before, or what a hanging call delays. */
    sync: async () => {
      await readPaused();
      const before = changes;
      const holds = await appHolds.read();
      if (changes === before) {
        const tryAt = new Map(holds.map((hold) => [hold.app, now() + hold.tryInMs]));
        for (const app of tryAt.keys()) stateOf(app);
        for (const [app, state] of apps) {
          if (tryAt.has(app)) state.tryAt = tryAt.get(app) ?? null;
          else if (state.tryAt !== null) endHold(state);
        }
      }
      await flush();
      await writeOldRefusals();
    },
    syncEveryMs,
  };
}

import type { Logger } from '../lib/logger.js';
import { withTimeout } from '../lib/with-timeout.js';
import type { PhoneNumber } from '../otp/phone-number.js';
import type { AppHolds, RefusalJudgement, RefusedCall } from '../store/app-holds.js';
import type { EarlierRefusal } from '../store/send-attempts.js';

/**
 * So many different numbers of an app refused in a row, and its calls are made one at a time here until it is known why: one
 * where none of its calls was accepted lately, else two, or an eighth of its calls in flight if that is more.
 */
const doubtfulFrom = { unproven: 1, proven: 2, shareInFlight: 1 / 8 };
const acceptedLatelyMs = 60_000;
/** What is noted of refusals here says nothing about later calls. */
const rowKeptMs = 10_000;
/** A call may hang for long: refusals beside it are written after this time, before any of them is taken for its OTP's own. */
const unwrittenForMs = 1_500;
/** Redis is waited for no longer: an OTP's attempt must not run out meanwhile. */
const redisWithinMs = 500;
/** How soon a Redis that did not answer is asked again about a trial. */
const askAgainMs = 1_000;
const lookEveryMs = 1_000;

/** Leave to call for an OTP of an app. */
export interface Entry {
  /** The one call that finds out whether the app's hold may end. */
  trial: boolean;
  /**
   * Says that its call is answered, or that none was made, which gives a trial back. Repeating it does nothing. Resolves
   * within half a second: the last call of an app has its refusals written, and no other begins before it is known whether
   * they put the app on hold.
   */
  leave(called: boolean): Promise<void>;
}

/** The refusals in unknown words, and the holds that follow from them, as one worker process sees them. */
export interface AppGate {
  /** True while the app is on hold, as far as is known here. */
  isOnHold(app: string): boolean;
  /** Leave to call; `on_hold`: the app's OTPs wait; `doubtful`: its calls are made one at a time, and one is under way. */
  enter(app: string): Promise<Entry | 'on_hold' | 'doubtful'>;
  /** Written down at once where refusals of the app are known here, else with the next look. */
  noteAccepted(call: { app: string; claimedAt: number }): void;
  /** Counts at once here; written when the app's last call leaves. */
  noteRefusal(call: { app: string; to: PhoneNumber; claimedAt: number; text: string }): void;
  /** Held where Redis does not answer, or has yet to take note of this refusal. */
  judge(app: string, refusal: EarlierRefusal): Promise<RefusalJudgement>;
  /** Reads which apps are on hold, and writes what Redis did not take before, or what a hanging call keeps back. */
  look(): Promise<void>;
  readonly lookEveryMs: number;
}

interface AppState {
  inFlight: number;
  /** Refusals of calls claimed after the newest accepted one, by number, and when each came. */
  row: Map<string, RefusedCall & { text: string; at: number; written: boolean }>;
  acceptedAt: number;
  /** When the app's hold may be tried; null: it is not on hold. */
  tryAt: number | null;
}

export interface AppGateDependencies {
  appHolds: AppHolds;
  logger: Logger;
  now: () => number;
}

export function createAppGate({ appHolds, logger, now }: AppGateDependencies): AppGate {
  const apps = new Map<string, AppState>();
  /** Accepted calls that Redis has yet to take note of: the newest claim of each app. */
  let accepted = new Map<string, number>();
  let writing: Promise<void> | null = null;
  /** What changed here meanwhile is newer than what is read. */
  let changes = 0;

  const stateOf = (app: string): AppState => {
    const state = apps.get(app) ?? {
      inFlight: 0,
      row: new Map(),
      acceptedAt: -acceptedLatelyMs,
      tryAt: null,
    };
    apps.set(app, state);
    return state;
  };
  const isDoubtful = ({ row, acceptedAt, inFlight }: AppState) => {
    for (const [number, { at }] of row) if (now() - at > rowKeptMs) row.delete(number);
    const { unproven, proven, shareInFlight } = doubtfulFrom;
    const isProven = now() - acceptedAt < acceptedLatelyMs;
    return row.size >= (isProven ? Math.max(proven, inFlight * shareInFlight) : unproven);
  };
  const endHold = (state: AppState) => {
    state.tryAt = null;
    state.row.clear();
    changes += 1;
  };
  /** Whether this call may try an app on hold, or need not, since the hold is over. */
  const askForTrial = async (app: string, state: AppState): Promise<'trial' | 'free' | 'on_hold'> => {
    const waitMs = await withTimeout(appHolds.takeTrial(app), redisWithinMs).catch(() => askAgainMs);
    if (waitMs === null) endHold(state);
    else state.tryAt = now() + (waitMs || askAgainMs);
    if (waitMs === null) return 'free';
    return waitMs === 0 ? 'trial' : 'on_hold';
  };
  const unwritten = ({ row }: AppState) => [...row.values()].filter(({ written }) => !written);
  const writeRow = async (app: string, state: AppState) => {
    const row = [...state.row.values()];
    const noting = appHolds.noteRefusals({ app, text: row.at(-1)?.text ?? '', row });
    // No call begins before it is known whether this puts the app on hold.
    state.inFlight += 1;
    const noted = await withTimeout(noting, redisWithinMs).catch(() => null);
    state.inFlight -= 1;
    if (!noted) return;
    for (const call of row) call.written = true;
    if (!noted.onHold) return;
    changes += 1;
    state.tryAt ??= now() + askAgainMs;
    if (!noted.began) return;
    const about = {
      event: 'sending.paused',
      trouble: 'unrecognised_refusal',
      app,
      refusal: row.at(-1)?.text,
    };
    logger.error(about, 'sending paused for an app: refusals in unknown words');
  };
  const returnTrial = async (app: string, state: AppState) => {
    const returned = await withTimeout(appHolds.returnTrial(app), redisWithinMs).then(
      () => true,
      () => false,
    );
    // Else the next trial comes with the next interval.
    if (!returned || state.tryAt === null) return;
    state.tryAt = now();
    changes += 1;
  };
  const admitTo = (app: string, state: AppState, trial: boolean): Entry => {
    let left = false;
    state.inFlight += 1;
    return {
      trial,
      leave: async (called) => {
        if (left) return;
        left = true;
        state.inFlight -= 1;
        if (trial && !called) await returnTrial(app, state);
        // Calls under way may still be accepted; the last of them tells of all.
        if (state.inFlight === 0 && unwritten(state).length > 0) await writeRow(app, state);
      },
    };
  };
  /** Rows that a hanging call keeps from being written, or that Redis did not take. */
  const writeOldRows = async () => {
    const isDue = (state: AppState) => {
      const isOld = unwritten(state).some(({ at }) => now() - at >= unwrittenForMs);
      return isOld && (state.inFlight === 0 || isDoubtful(state));
    };
    await Promise.all([...apps].map(([app, state]) => isDue(state) && writeRow(app, state)));
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
  /** One write at a time: what is accepted meanwhile goes with the next. */
  const flush = async () => {
    writing ??= writeAccepted().finally(() => {
      writing = null;
    });
    await writing;
  };

  return {
    isOnHold: (app) => stateOf(app).tryAt !== null,
    enter: async (app) => {
      const state = stateOf(app);
      if (state.tryAt !== null && now() < state.tryAt) return 'on_hold';
      const asked = state.tryAt === null ? 'free' : await askForTrial(app, state);
      if (asked === 'on_hold') return asked;
      if (asked === 'free' && state.inFlight > 0 && isDoubtful(state)) return 'doubtful';
      return admitTo(app, state, asked === 'trial');
    },
    noteAccepted: ({ app, claimedAt }) => {
      const state = stateOf(app);
      state.acceptedAt = now();
      // Calls claimed before were refused for reasons of their own.
      const isUrgent = state.row.size > 0 || state.tryAt !== null;
      for (const [number, call] of state.row) if (call.claimedAt < claimedAt) state.row.delete(number);
      accepted.set(app, Math.max(claimedAt, accepted.get(app) ?? 0));
      // One more write for each send would cost a tenth of its CPU (measured); what Redis does not take is written later, too.
      if (isUrgent) flush().catch(() => {});
    },
    noteRefusal: ({ app, to, claimedAt, text }) => {
      stateOf(app).row.set(to.e164, { to, claimedAt, text, at: now(), written: false });
    },
    judge: async (app, refusal) => {
      if (unwritten(stateOf(app)).some(({ claimedAt }) => claimedAt === refusal.claimedAt)) return 'held';
      return await withTimeout(appHolds.judge(app, refusal), redisWithinMs).catch(() => 'held' as const);
    },
    look: async () => {
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
      await writeOldRows();
    },
    lookEveryMs,
  };
}

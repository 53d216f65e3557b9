import type { Logger } from '../lib/logger.js';
import { withTimeouts } from '../lib/with-timeout.js';
import type { PhoneNumber } from '../otp/phone-number.js';
import type { AppHolds, RefusalJudgement, RefusedCall } from '../store/app-holds.js';
import type { EarlierRefusal } from '../store/send-attempts.js';

/**
 * Refused numbers of an app in a row from which on its calls are made one at a time: one if none of its calls was accepted
 * lately, else two, or an eighth of its calls in flight if that is more.
 */
const doubtfulFrom = { unproven: 1, proven: 2, shareInFlight: 1 / 8 };
const acceptedLatelyMs = 60_000;
/** Older refusals say nothing about new calls. */
const rowKeptMs = 10_000;
/** Refusals beside a call that hangs are written after this time, before any of them counts as its OTP's own. */
const unwrittenForMs = 1_500;
/** Deadline for Redis, so that the OTP's attempt does not expire meanwhile. */
const redisWithinMs = 500;
/** When Redis is asked again about a trial after it did not answer. */
const askAgainMs = 1_000;
const lookEveryMs = 1_000;

/** Permission to call for an OTP of an app. */
export interface Entry {
  /** True for the one call that tests whether the app's hold may end. */
  trial: boolean;
  /**
   * Reports that the call was answered, or not made, which gives a trial back. Further reports are ignored. Resolves within
   * half a second: the last call of an app writes its refusals, and no other begins before their effect is known.
   */
  leave(called: boolean): Promise<void>;
}

/** Unrecognised refusals and the holds of apps that follow from them, as one worker process sees them. */
export interface AppGate {
  /** True while the app is on hold, as far as is known here. */
  isOnHold(app: string): boolean;
  /** `on_hold`: the app's OTPs wait; `doubtful`: its calls are made one at a time, and one is under way. */
  enter(app: string): Promise<Entry | 'on_hold' | 'doubtful'>;
  /** Written at once if refusals of the app are known here, else with the next `look`. */
  noteAccepted(call: { app: string; claimedAt: number }): void;
  /** Counts here at once; written when the app's last call leaves. */
  noteRefusal(call: { app: string; to: PhoneNumber; claimedAt: number; text: string }): void;
  /** `held` if Redis does not answer, or this refusal is not written yet. */
  judge(app: string, refusal: EarlierRefusal): Promise<RefusalJudgement>;
  /** Reads which apps are on hold; writes what Redis did not take before, or what a hanging call delays. */
  look(): Promise<void>;
  readonly lookEveryMs: number;
}

interface AppState {
  inFlight: number;
  /** Refusals of calls claimed after the newest accepted one, by number, with the time of each. */
  row: Map<string, RefusedCall & { text: string; at: number; written: boolean }>;
  acceptedAt: number;
  /** When a call may test the app's hold; null: the app is not on hold. */
  tryAt: number | null;
}

export function createAppGate({
  appHolds,
  logger,
  now,
}: {
  appHolds: AppHolds;
  logger: Logger;
  now: () => number;
}): AppGate {
  const { takeTrial, returnTrial, noteRefusals, judge } = withTimeouts(appHolds, redisWithinMs);
  const apps = new Map<string, AppState>();
  /** Accepted calls that are not written to Redis yet: the newest claim of each app. */
  let accepted = new Map<string, number>();
  let writing: Promise<void> | null = null;
  /** Counts changes here, which are newer than a read that began before. */
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
  /** `trial`: this call tests the hold; `free`: the hold is over. */
  const askForTrial = async (app: string, state: AppState): Promise<'trial' | 'free' | 'on_hold'> => {
    const waitMs = await takeTrial(app).catch(() => askAgainMs);
    if (waitMs === null) endHold(state);
    else state.tryAt = now() + (waitMs || askAgainMs);
    if (waitMs === null) return 'free';
    return waitMs === 0 ? 'trial' : 'on_hold';
  };
  const unwritten = ({ row }: AppState) => [...row.values()].filter(({ written }) => !written);
  const writeRow = async (app: string, state: AppState) => {
    const row = [...state.row.values()];
    const text = row.at(-1)?.text ?? '';
    // No call begins before it is known whether this puts the app on hold.
    state.inFlight += 1;
    const noted = await noteRefusals({ app, text, row }).catch(() => null);
    state.inFlight -= 1;
    if (!noted) return;
    for (const call of row) call.written = true;
    if (!noted.onHold) return;
    changes += 1;
    state.tryAt ??= now() + askAgainMs;
    if (!noted.began) return;
    const about = { event: 'sending.paused', trouble: 'unrecognised_refusal', app, refusal: text };
    logger.error(about, 'sending paused for an app: iSMS refuses its OTPs with an unknown text (`refusal`)');
  };
  const giveTrialBack = async (app: string, state: AppState) => {
    const returned = await returnTrial(app).then(
      () => true,
      () => false,
    );
    // Otherwise the next trial comes with the next interval.
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
        if (trial && !called) await giveTrialBack(app, state);
        // Calls under way may still be accepted; the last of them writes the whole row.
        if (state.inFlight === 0 && unwritten(state).length > 0) await writeRow(app, state);
      },
    };
  };
  /** Writes rows that a hanging call delays, or that Redis did not take. */
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
  /** One write at a time: calls accepted meanwhile go with the next. */
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
      // Refusals of calls claimed before this one say nothing about the account.
      const isUrgent = state.row.size > 0 || state.tryAt !== null;
      for (const [number, call] of state.row) if (call.claimedAt < claimedAt) state.row.delete(number);
      accepted.set(app, Math.max(claimedAt, accepted.get(app) ?? 0));
      // A write for each send would cost a tenth of its CPU (measured). What Redis does not take is written with the next look.
      if (isUrgent) flush().catch(() => {});
    },
    noteRefusal: ({ app, to, claimedAt, text }) => {
      stateOf(app).row.set(to.e164, { to, claimedAt, text, at: now(), written: false });
    },
    judge: async (app, refusal) => {
      if (unwritten(stateOf(app)).some(({ claimedAt }) => claimedAt === refusal.claimedAt)) return 'held';
      return await judge(app, refusal).catch(() => 'held' as const);
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

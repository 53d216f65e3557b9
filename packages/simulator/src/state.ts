import { readMobile } from './mobile.js';
import type { Sms } from './outbox.js';
import type { Settings, SettingsUpdate } from './settings.js';
import type { Simulation } from './simulation.js';
import type { Tally } from './tally.js';

/** Which messages to list: all numbers' or one's, at most so many. */
export interface InboxQuery {
  /** E.164, or any notation of a Malaysian number. */
  mobile?: string | undefined;
  limit?: number | undefined;
}

/** Counts since the start or the last `clearStats`. */
export interface Stats {
  calls: Tally['calls'];
  /** SMS sent, and the credits they cost. */
  sent: Tally['sent'];
  /** Different numbers remembered. */
  numbers: number;
  /** Numbers that got more than one SMS: how many, and the first thousand of them. */
  duplicates: { count: number; numbers: { mobile: string; sms: number }[] };
}

/** What a program in the same process can see and change; the routes offer the same over HTTP. */
export interface SimulatorState {
  readonly settings: Readonly<Settings>;
  /** Changes some settings; throws a RangeError that lists every problem if any of them is wrong. */
  change(update: SettingsUpdate): void;
  /** Newest first. With a number it reaches back through all sends that are remembered. */
  inbox(query?: InboxQuery): Sms[];
  /** Empties the inbox; the codes can still be verified, and the counts stay. */
  clearInbox(): void;
  readonly calls: Readonly<Tally['calls']>;
  stats(): Stats;
  /** Send calls that named a number, refused ones included, and the SMS that it got. */
  number(mobile: string): { calls: number; sms: number };
  clearStats(): void;
}

const defaultLimit = 50;
const mostDuplicates = 1_000;

/** Gives access to a simulation. */
export function createState({ account, outbox, tally, logger }: Simulation): SimulatorState {
  return {
    settings: account.settings,
    change(update) {
      account.change(update);
      logger?.info(
        { event: 'simulator.settings_changed', settings: Object.keys(update) },
        'settings changed',
      );
    },
    inbox: ({ mobile, limit = defaultLimit } = {}) =>
      mobile === undefined
        ? outbox.newest(limit)
        : outbox.chain(tally.of(readMobile(mobile))?.newestSmsId ?? null, limit),
    clearInbox: () => outbox.clear(),
    calls: tally.calls,
    stats: () => ({
      calls: { ...tally.calls },
      sent: { ...tally.sent },
      numbers: tally.numbers.seen,
      duplicates: { count: tally.numbers.doubled, numbers: tally.doubled(mostDuplicates) },
    }),
    number(mobile) {
      const { calls = 0, sms = 0 } = tally.of(readMobile(mobile)) ?? {};
      return { calls, sms };
    },
    clearStats: () => tally.clear(),
  };
}

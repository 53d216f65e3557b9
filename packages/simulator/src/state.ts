import { readMobile } from './mobile.js';
import type { Sms } from './outbox.js';
import type { Settings, SettingsUpdate } from './settings.js';
import type { Simulation } from './simulation.js';
import type { Tally } from './tally.js';

/** Which messages to list. */
export interface InboxQuery {
  /** Number whose messages are listed, in any notation of a Malaysian number or E.164. Default: all. */
  mobile?: string | undefined;
  /** How many messages at most. Default: 50. */
  limit?: number | undefined;
}

/** Counts since the start, or since the last `clearStats`. */
export interface Stats {
  /** Calls by kind; `redirected` counts calls that followed the redirect. */
  calls: Tally['calls'];
  /** SMS sent, and the credits they cost. */
  sent: Tally['sent'];
  /** How many numbers are counted. */
  numbers: number;
  /** Numbers with more than one SMS: how many, and the first thousand. */
  duplicates: { count: number; numbers: { mobile: string; sms: number }[] };
}

/** State of a simulator, to read and change from the same process; the HTTP endpoints offer the same. */
export interface SimulatorState {
  /** The current settings. */
  readonly settings: Readonly<Settings>;
  /** Changes some settings; throws a RangeError with all errors, and then changes none. */
  change(update: SettingsUpdate): void;
  /** Lists messages, newest first. With a number, it searches all sends that are kept. */
  inbox(query?: InboxQuery): Sms[];
  /** Empties the inbox; codes stay verifiable, and counts stay. */
  clearInbox(): void;
  /** Calls by kind. */
  readonly calls: Readonly<Tally['calls']>;
  /** Counts of calls, SMS, credits and numbers. */
  stats(): Stats;
  /** Counts of one number: its send calls, refused ones included, and its SMS. */
  number(mobile: string): { calls: number; sms: number };
  /** Resets the counts. */
  clearStats(): void;
}

const defaultLimit = 50;
const mostDuplicates = 1_000;

/** Creates the access to a simulation. */
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

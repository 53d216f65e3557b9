import { type Account, createAccount } from './account.js';
import type { Pace } from './answer.js';
import { createOutbox, type Outbox } from './outbox.js';
import type { SettingsUpdate } from './settings.js';
import { createTally, type Tally } from './tally.js';

/** A logger such as pino's; it gets no credentials, codes, texts or numbers. */
export interface SimulatorLogger {
  /** Logs an event. */
  info(fields: object, message: string): void;
}

/** How much is kept; the oldest is dropped first. */
export interface Capacity {
  /** Messages in the inbox. Default: 1,000. */
  inbox: number;
  /** Sends whose codes can be verified. Default: 200,000. */
  sends: number;
  /** Numbers that are counted. Default: 250,000. */
  numbers: number;
}

/** Options of a simulator. */
export interface SimulatorOptions {
  /** Username to require in `un`. Default: any. */
  username?: string | undefined;
  /** Password to require in `pass`. Default: any. */
  password?: string | undefined;
  /** Initial settings. */
  settings?: SettingsUpdate;
  /** Logs changed settings and deliberate failures. Default: none. */
  logger?: SimulatorLogger | undefined;
  /** How much is kept. */
  capacity?: Partial<Capacity>;
  /** Delays of the slow numbers, for fast tests. */
  pace?: Partial<Pace>;
  /** Current time in milliseconds since 1970, for tests that move time. Default: `Date.now`. */
  clock?: () => number;
}

/** State and options of one simulator. */
export interface Simulation {
  account: Account;
  outbox: Outbox;
  tally: Tally;
  credentials: { username: string | undefined; password: string | undefined };
  pace: Pace;
  logger: SimulatorLogger | undefined;
  now: () => number;
}

const defaultCapacity: Capacity = { inbox: 1_000, sends: 200_000, numbers: 250_000 };
const defaultPace: Pace = { slowMs: 5_000, trickleMs: 1_000 };

/** Creates the state of a simulator; throws a RangeError for invalid settings. */
export function createSimulation(options: SimulatorOptions): Simulation {
  const now = options.clock ?? Date.now;
  const capacity = { ...defaultCapacity, ...options.capacity };
  return {
    account: createAccount(options.settings ?? {}, now),
    outbox: createOutbox(capacity, now),
    tally: createTally(capacity.numbers),
    credentials: { username: options.username, password: options.password },
    pace: { ...defaultPace, ...options.pace },
    logger: options.logger,
    now,
  };
}

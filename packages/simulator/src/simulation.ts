import { type Account, createAccount } from './account.js';
import type { Pace } from './answer.js';
import { createOutbox, type Outbox } from './outbox.js';
import type { SettingsUpdate } from './settings.js';
import { createTally, type Tally } from './tally.js';

/** A pino-like logger; it is never given credentials, codes, texts or numbers. */
export interface SimulatorLogger {
  info(fields: object, message: string): void;
}

/** How much is kept; the oldest goes first. */
export interface Capacity {
  /** Messages that can be listed without naming a number. */
  inbox: number;
  /** Send calls whose codes can be verified. */
  sends: number;
  /** Different numbers that are counted. */
  numbers: number;
}

export interface SimulatorOptions {
  /** What `un` and `pass` must be; whatever is left out is not checked, beyond being there. */
  username?: string | undefined;
  password?: string | undefined;
  /** Settings to start with. */
  settings?: SettingsUpdate;
  logger?: SimulatorLogger | undefined;
  capacity?: Partial<Capacity>;
  /** How slow the slow behaviours are, in milliseconds, for tests in a hurry. */
  pace?: Partial<Pace>;
  /** Milliseconds since 1970, for tests that let time pass. */
  clock?: () => number;
}

/** Everything one simulator remembers, and what it was made with. */
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

/** Makes the memory of a new simulator; throws a RangeError when the settings are wrong. */
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

import type { BalanceLimits } from '../otp/balance.js';
import { partitions } from '../otp/otp-id.js';
import { type AppHolds, createAppHolds } from './app-holds.js';
import { type AppPauses, createAppPauses } from './app-pauses.js';
import { type Audit, createAudit } from './audit.js';
import { type BalanceStore, createBalanceStore } from './balance.js';
import { type Batches, createBatches } from './batches.js';
import { type Conversion, createConversion } from './conversion.js';
import { createDataSubjects, type DataSubjects } from './data-subjects.js';
import type { Encrypter } from './encryption.js';
import { createEvents, type Events } from './events.js';
import { createFailedLogins, type FailedLogins } from './failed-logins.js';
import { createHistories, type HistoryFinding } from './history.js';
import { keys } from './keys.js';
import { createLoad, evictionPolicy, type Load } from './load.js';
import { createNumberRanges, type NumberRanges } from './number-ranges.js';
import { createOtps, type Otps } from './otps.js';
import { createPhones, type Phones } from './phones.js';
import { loadScript, type Policy, type RedisClient } from './script.js';
import { createSendAttempts, type SendAttempts } from './send-attempts.js';
import { createSendingPause, type SendingPause } from './sending-pause.js';
import { createStats, type Stats } from './stats.js';
import { createVerificationAttempts, type VerificationAttempts } from './verification-attempts.js';
import { createWaitingLines, type WaitingLines } from './waiting-lines.js';

const readyKeptMs = 10_000;

/** Everything kept in Redis beside the queues. Its functions on OTPs are the edges of the state diagram. */
export interface Store {
  otps: Otps;
  batches: Batches;
  waitingLines: WaitingLines;
  sendAttempts: SendAttempts;
  verificationAttempts: VerificationAttempts;
  ranges: NumberRanges;
  conversion: Conversion;
  phones: Phones;
  sendingPause: SendingPause;
  appHolds: AppHolds;
  appPauses: AppPauses;
  load: Load;
  balance: BalanceStore;
  events: Events;
  stats: Stats;
  audit: Audit;
  dataSubjects: DataSubjects;
  failedLogins: FailedLogins;
  /** Resolves once Redis, or any master of a cluster, has taken a write; rejects with what the first one said. */
  probe(): Promise<void>;
  /** The policy by which Redis evicts keys once its `maxmemory` is reached; null: it evicts none. */
  evictionPolicy(): Promise<string | null>;
  /** To be called from time to time where `onNewHistory` should tell that Redis was emptied. */
  lookAtHistories(): Promise<void>;
  /**
   * Takes note that Redis was restored from a backup, which leaves no other history: what waits may have been
   * sent since, and counts one unknown attempt.
   */
  noteRestore(): Promise<void>;
  /** True for one caller in `periodMs`, the one that does a job for all processes. */
  holdLease(name: string, periodMs: number): Promise<boolean>;
  /** True for the one caller whose token took this lease first, as long as it asks again within `periodMs`. */
  keepLease(name: string, token: string, periodMs: number): Promise<boolean>;
}

interface StoreOptions {
  redis: RedisClient;
  encrypter: Encrypter;
  policy: Policy;
  /** The hashes in which BullMQ notes that an operator paused a send queue. */
  operatorPauseKeys: readonly string[];
  /** Number ranges that the toll-fraud guard leaves alone; none by default. */
  safeRanges?: readonly string[];
  balanceLimits: BalanceLimits;
  /** Days that the audit log is kept; none by default. */
  auditRetentionDays?: number;
  /** Called once for each history of Redis's data that is not the one before. */
  onNewHistory?: (finding: HistoryFinding) => void;
}

export function createStore({
  onNewHistory = () => {},
  safeRanges = [],
  auditRetentionDays = 0,
  ...stores
}: StoreOptions): Store {
  const { redis } = stores;
  const ranges = createNumberRanges({ ...stores, safeRanges });
  const conversion = createConversion(stores);
  const histories = createHistories(redis, onNewHistory);
  const options = { ...stores, ranges, conversion, noteHistory: histories.note };
  const keepLease = loadScript(redis, 'gateway/keep-lease');
  // On a cluster, one in each eighth of the slots: while any takes writes, some OTPs can be taken.
  const probed = partitions.filter((_, i) => (redis.isCluster ? i % 8 === 0 : i === 0));
  return {
    otps: createOtps(options),
    batches: createBatches(stores),
    waitingLines: createWaitingLines(options),
    sendAttempts: createSendAttempts(options),
    verificationAttempts: createVerificationAttempts(options),
    ranges,
    conversion,
    phones: createPhones(stores),
    sendingPause: createSendingPause(stores),
    appHolds: createAppHolds(stores),
    appPauses: createAppPauses(stores),
    load: createLoad(redis),
    balance: createBalanceStore(stores),
    events: createEvents(redis),
    stats: createStats(redis),
    audit: createAudit(redis, auditRetentionDays),
    dataSubjects: createDataSubjects(options),
    failedLogins: createFailedLogins(stores),
    probe: async () => {
      const probes = probed.map((tag) => redis.set(keys.probe(tag), '1', 'PX', readyKeptMs));
      await Promise.any(probes).catch(({ errors }: AggregateError) => Promise.reject(errors[0]));
    },
    evictionPolicy: () => evictionPolicy(redis),
    lookAtHistories: histories.look,
    noteRestore: async () => {
      await Promise.all(partitions.map((tag) => redis.hincrby(keys.history(tag), 'losses', 1)));
    },
    holdLease: async (name, periodMs) =>
      (await redis.set(keys.lease(name), '1', 'PX', periodMs, 'NX')) === 'OK',
    keepLease: async (name, token, periodMs) =>
      (await keepLease([keys.lease(name)], [token, periodMs])) === 1,
  };
}

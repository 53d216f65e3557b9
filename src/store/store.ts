import type { BalanceLimits } from '../otp/balance.js';
import { partitions, randomText } from '../otp/otp-id.js';
import { createAppHolds } from './app-holds.js';
import { createAppPauses } from './app-pauses.js';
import { createAppStats } from './app-stats.js';
import { createAudit } from './audit.js';
import { createBalanceStore } from './balance.js';
import { createBatches } from './batches.js';
import { createBudgets } from './budgets.js';
import { createConversion } from './conversion.js';
import { createDataSubjects } from './data-subjects.js';
import { createEvents } from './events.js';
import { createFailedLogins } from './failed-logins.js';
import { createHistories, type HistoryFinding } from './history.js';
import { keys } from './keys.js';
import { createLoad, evictionPolicy } from './load.js';
import { createNumberLists, type NumberListTrouble } from './number-lists.js';
import { createNumberRanges } from './number-ranges.js';
import { createOtps } from './otps.js';
import { createPhones } from './phones.js';
import { loadScript, type StoreContext } from './script.js';
import { createSendAttempts } from './send-attempts.js';
import { createSendingPause } from './sending-pause.js';
import { createStats } from './stats.js';
import { createVerificationAttempts } from './verification-attempts.js';
import { createWaitingLines } from './waiting-lines.js';

const readyKeptMs = 10_000;

interface StoreOptions extends StoreContext {
  /** The hashes in which BullMQ notes that an operator paused a send queue. */
  operatorPauseKeys: readonly string[];
  /** The Lua function `add_job`, which adds a job to a queue of BullMQ; without it, OTPs are admitted without a job. */
  addJobFunction?: string;
  /** Called once when the allow and deny lists cannot be read, or not in full. */
  onNumberListTrouble?: (trouble: NumberListTrouble) => void;
  balanceLimits: BalanceLimits;
  /** Days that the audit log is kept; none by default. */
  auditRetentionDays?: number;
  /** Called once per new replication history. */
  onNewHistory?: (finding: HistoryFinding) => void;
}

/** Everything kept in Redis beside the queues. */
export type Store = ReturnType<typeof createStore>;

export function createStore({
  onNewHistory = () => {},
  onNumberListTrouble = () => {},
  auditRetentionDays = 0,
  addJobFunction = '',
  ...stores
}: StoreOptions) {
  const { redis } = stores;
  const numberLists = createNumberLists({ ...stores, onTrouble: onNumberListTrouble });
  const ranges = createNumberRanges({ ...stores, numberLists });
  const conversion = createConversion(stores);
  const histories = createHistories(redis, onNewHistory);
  const batches = createBatches(stores);
  const options = {
    ...stores,
    batches,
    addJobFunction,
    ranges,
    numberLists,
    conversion,
    noteHistory: histories.note,
  };
  const renewLease = loadScript(redis, 'gateway/renew-lease');
  // On a cluster, one in each eighth of the slots: while any takes writes, some OTPs can be taken.
  const probed = partitions.filter((_, i) => (redis.isCluster ? i % 8 === 0 : i === 0));
  return {
    otps: createOtps(options),
    batches,
    waitingLines: createWaitingLines(options),
    sendAttempts: createSendAttempts(options),
    verificationAttempts: createVerificationAttempts(options),
    ranges,
    numberLists,
    conversion,
    phones: createPhones(stores),
    sendingPause: createSendingPause(stores),
    appHolds: createAppHolds(stores),
    appPauses: createAppPauses(stores),
    budgets: createBudgets(stores),
    load: createLoad(redis),
    balance: createBalanceStore(stores),
    events: createEvents(redis),
    stats: createStats(redis),
    appStats: createAppStats(redis),
    audit: createAudit(redis, auditRetentionDays),
    dataSubjects: createDataSubjects(options),
    failedLogins: createFailedLogins(stores),
    /** Resolves once Redis, or any master of a cluster, has taken a write; rejects with the first one's error. */
    probe: async () => {
      const probes = probed.map((tag) => redis.set(keys.probe(tag), '1', 'PX', readyKeptMs));
      await Promise.any(probes).catch(({ errors }: AggregateError) => Promise.reject(errors[0]));
    },
    /** The policy by which Redis evicts keys once its `maxmemory` is reached; null: it evicts none. */
    evictionPolicy: () => evictionPolicy(redis),
    /** Must be called periodically for `onNewHistory` to report `emptied`. */
    lookAtHistories: histories.look,
    /**
     * Records that Redis was restored from a backup, which leaves no new history: waiting OTPs may have been sent since
     * the backup, and count one unknown attempt.
     */
    noteRestore: async () => {
      await Promise.all(partitions.map((tag) => redis.hincrby(keys.history(tag), 'losses', 1)));
    },
    /** True for one caller in `periodMs`, the one that does a task for all processes. */
    acquireLease: async (name: string, periodMs: number) =>
      (await renewLease([keys.lease(name)], [randomText(), periodMs])) === 1,
    /** True for the one caller whose token took this lease, as long as it renews it within `periodMs`. */
    renewLease: async (name: string, token: string, periodMs: number) =>
      (await renewLease([keys.lease(name)], [token, periodMs])) === 1,
  };
}

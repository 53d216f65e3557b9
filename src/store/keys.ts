import { partitionOf, partitionOfId } from '../otp/otp-id.js';
import type { KeyedHashes } from './encryption.js';
import type { RedisClient } from './script.js';

const prefix = 'isms';

/** A key's hash tag: what decides which slot of a cluster it is in. */
export function tagOf(key: string): string {
  return key.slice(key.indexOf('{') + 1, key.indexOf('}'));
}

/**
 * Every key of the store in Redis. The part in braces is the hash tag: keys with the same tag share a slot of Redis
 * Cluster, so the keys of one phone number stay together. Keys of others: `call-limit.ts`, `shards.ts`, BullMQ's.
 */
export const keys = {
  /** String, JSON: an OTP's record. */
  record: (partition: string, id: string) => `${prefix}:{${partition}}:${id}`,
  /** The same for an id of ours. `erased:<id>` beside it marks an erased OTP (`lua/otp/otps.lua`). */
  recordOfId: (id: string) => `${prefix}:{${partitionOfId(id) ?? ''}}:${id}`,
  /** Sorted set: ids of a partition's OTPs that have not ended, by the time of the sweeper's next check. */
  due: (partition: string) => `${prefix}:{${partition}}:due`,
  /** Hash: OTPs of a batch in this partition by status, and the batch's `startAt` and `cancelledAt`. */
  batchCounts: (partition: string, batch: string) => `${prefix}:{${partition}}:batch:${batch}`,
  /** List: ids, without `otp_`, of a batch's OTPs in this partition that wait for their release, first ones first. */
  waitingLines: (partition: string, batch: string) => `${prefix}:{${partition}}:waiting:${batch}`,
  /** Hash: batches with waiting lines in this partition, and the app of each. */
  waitingBatches: (partition: string) => `${prefix}:{${partition}}:waiting`,
  /** Sorted set that expires: an app's batches with waiting lines, by the order of their release. */
  appBatchQueue: (app: string) => `${prefix}:{${app}}:batch-queue`,
  /** Hash, JSON by batch: progress of the release of each batch with waiting lines (`ActiveBatch`). */
  activeBatches: `${prefix}:{batches}:active`,
  /** Hash, JSON by batch: number of its lines whose number range is limited, by partition. */
  heldLines: `${prefix}:{batches}:held`,
  /** Hash: the fields of `BatchFacts` (batches.ts). */
  batch: (batch: string) => `${prefix}:{${batch}}:batch`,
  /** Sorted set that expires: the newest batches of an app that have OTPs, by their creation. */
  batchesOfApp: (app: string) => `${prefix}:{${app}}:batches`,
  /** String: the ids of a chunk of a batch's lines, one after the other. */
  batchLines: (batch: string, chunk: number) => `${prefix}:{${batch}}:lines:${chunk}`,
  /** Hash: `id` (replication id last seen), `run` (run id), `synced` (appendfsync always), `losses` (possible ones). */
  history: (partition: string) => `${prefix}:{${partition}}:history`,
  /** String, MessagePack: one phone number, by app (`lua/verification/phone.lua`). */
  phone: (hash: string) => `${prefix}:{${partitionOf(hash)}}:phone:${hash}`,
  /** Hash that expires: for an app and purpose of one phone number, the OTPs that replaced all earlier ones, and when. */
  superseded: (partition: string, hash: string) => `${prefix}:{${partition}}:superseded:${hash}`,
  /** Strings that expire: calls for an app in this second, and jobs that wait for a later one. */
  appSends: (app: string) => `${prefix}:{${app}}:sends`,
  appSendsRefused: (app: string) => `${prefix}:{${app}}:sends-refused`,
  /** Hash that expires: credits of an app in a day (`YYYY-MM-DD`) or month (`YYYY-MM`) of BUDGET_TIME_ZONE. */
  budget: (app: string, period: string) => `${prefix}:{${app}}:budget:${period}`,
  /** Hash, on a cluster: credits to return of ended OTPs of this partition, by app and day. */
  unspent: (partition: string) => `${prefix}:{${partition}}:unspent`,
  /** String that expires: OTPs of an app in this second. */
  appWindow: (app: string) => `${prefix}:{${app}}:app`,
  /** String that expires: OTPs of an app for one client address in these ten minutes. */
  clientIpWindow: (hash: string) => `${prefix}:{${hash}}:client-ip`,
  /** String that expires: OTPs of an app for one limit key in a window, `10min` or `day`. */
  limitKeyWindow: (hash: string, window: string) => `${prefix}:{${hash}}:limit-key-${window}`,
  /** String, MessagePack: the toll-fraud guard's data about an app's number range (`lua/ranges/range.lua`). */
  range: (hash: string) => `${prefix}:{${hash}}:range`,
  /** Hash, encrypted by keyed hash of app and number: the allow and deny lists; and `version`, new with each change. */
  numberLists: `${prefix}:{numbers}:lists`,
  /** Set: app and range of each number range that the guard slowed, blocked or capped. */
  ranges: `${prefix}:{ranges}:judged`,
  /** Hash, MessagePack by app and country: OTPs sent and verified, by the minute of sending. */
  conversion: `${prefix}:{conversion}:counts`,
  /** Hash, JSON by app and country: alarms that hardly any OTPs are verified. */
  conversionAlarms: `${prefix}:{conversion}:alarms`,
  /** String, JSON: `recordKey`, `fingerprint` (`lua/otp/admit.lua`); on a cluster `id`, `fingerprint`, `at`, `shared`. */
  idempotency: (hash: string) => `${prefix}:{${hash}}:idempotency`,
  /** Sorted set: ids of the OTPs that carry one reference of one app, by time. */
  reference: (hash: string) => `${prefix}:{${hash}}:reference`,
  /** The same followed by an hour since 1970, list that expires: the app's OTPs of that hour (`lua/otp/list.lua`). */
  otpsOfApp: (app: string) => `${prefix}:{${app}}:otps:`,
  /** Hash: the account trouble that pauses sending. */
  pause: `${prefix}:{sending}:pause`,
  /** Hash, JSON by app: the calls for its OTPs (`lua/sending/app-calls.lua`). */
  appCalls: `${prefix}:{sending}:app-calls`,
  /** Hash: apps that an operator paused, and since when. */
  appPauses: `${prefix}:{sending}:app-pauses`,
  /** String: number of jobs that workers took out of the send queue. */
  done: `${prefix}:{sending}:done`,
  /** String that expires: a lease of the one process that does a task for all. */
  lease: (name: string) => `${prefix}:{sending}:lease:${name}`,
  /** Stream: events that wait for the webhook queue, by source: a partition, `batches`, `sending`, `balance`, … */
  events: (source: string) => `${prefix}:{${source}}:events`,
  /** Hash that expires: statistics of each five minutes of a day (`YYYY-MM-DD`, UTC). */
  stats: (day: string) => `${prefix}:{stats}:${day}`,
  /** Hash that expires: statistics of an app in a day (UTC), by step and group, as JSON; `#…` are the groups known. */
  appStats: (app: string, by: string, { step, day }: { step: string; day: string }) =>
    `${prefix}:{${app}}:stats:${by}:${step}:${day}`,
  /** Stream that expires: the audit log of a day (`YYYY-MM-DD`, UTC). */
  audit: (day: string) => `${prefix}:{audit}:${day}`,
  /** Sorted set: balance snapshots as JSON, by time. */
  balanceHistory: `${prefix}:{balance}:history`,
  /** Hash: which balance alarms are on. */
  balanceAlarms: `${prefix}:{balance}:alarms`,
  /** String that expires: failed admin logins of one client address. */
  failedLogins: (hash: string) => `${prefix}:{${hash}}:failed-logins`,
  /** String that expires: written to check that Redis takes writes. */
  probe: (partition: string) => `${prefix}:{${partition}}:probe`,
} as const;

/** A key under the current encryption key, and the same under older ones. */
export interface HashedKey {
  current: string;
  older: readonly string[];
}

/** The Redis keys for a text's hashes under each encryption key. */
export function hashedKey([current, ...older]: KeyedHashes, toKey: (hash: string) => string): HashedKey {
  return { current: toKey(current), older: older.map(toKey) };
}

/**
 * Copies a value from an older encryption key to the current one, if that has none. The old value stays: during a
 * rollout, processes disagree about the current key.
 */
export async function copyToCurrentKey(redis: RedisClient, keys: readonly HashedKey[]): Promise<void> {
  await Promise.all(
    keys.map(async ({ current, older }) => {
      if (older.length === 0 || (await redis.exists(current)) === 1) return;
      for (const key of older) {
        const [known, leftMs] = await Promise.all([redis.getBuffer(key), redis.pttl(key)]);
        if (!known || leftMs <= 0) continue;
        // Another process may have copied it before.
        await redis.set(current, known, 'PX', leftMs, 'NX');
        return;
      }
    }),
  );
}

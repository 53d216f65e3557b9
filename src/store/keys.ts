import { partitionOfId } from '../otp/otp-id.js';
import type { KeyedHashes } from './encryption.js';
import type { RedisClient } from './script.js';

const prefix = 'isms';

/** A key's hash tag: what decides which slot of a cluster it is in. */
export function tagOf(key: string): string {
  return key.slice(key.indexOf('{') + 1, key.indexOf('}'));
}

/**
 * Every key the store keeps in Redis. The part in braces is the hash tag: keys with the same tag share a slot of
 * Redis Cluster, so everything that one Lua function touches about one phone number stays together.
 */
export const keys = {
  /** String, JSON: an OTP's record. */
  record: (partition: string, id: string) => `${prefix}:{${partition}}:${id}`,
  /** The same for an id of ours. Where it was erased, `erased:<id>` stands beside it for a while (`lua/otp/otps.lua`). */
  recordOfId: (id: string) => `${prefix}:{${partitionOfId(id) ?? ''}}:${id}`,
  /** Sorted set: ids of a partition's OTPs that have not ended, by when the sweeper must look. */
  due: (partition: string) => `${prefix}:{${partition}}:due`,
  /** Hash: how many OTPs of a batch have which status in this partition, and since when the batch is cancelled. */
  batchCounts: (partition: string, batch: string) => `${prefix}:{${partition}}:batch:${batch}`,
  /** List: ids, without `otp_`, of a batch's OTPs in this partition that wait for their release, first ones first. */
  waitingLines: (partition: string, batch: string) => `${prefix}:{${partition}}:waiting:${batch}`,
  /** Hash: batches with waiting lines in this partition, and the app of each. */
  waitingBatches: (partition: string) => `${prefix}:{${partition}}:waiting`,
  /** Sorted set that expires: batches of an app whose turn it may be, by their order. */
  appBatchQueue: (app: string) => `${prefix}:{${app}}:batch-queue`,
  /** Hash, JSON by batch: how far the release of each batch with waiting lines has got. */
  activeBatches: `${prefix}:{batches}:active`,
  /** Hash, JSON by batch: how many of its lines a limited number range holds up, by partition. */
  heldLines: `${prefix}:{batches}:held`,
  /** Hash: app, options, creation and number of lines of a batch, and since when it is cancelled. */
  batch: (batch: string) => `${prefix}:{${batch}}:batch`,
  /** Sorted set that expires: the newest batches of an app that have OTPs, by their creation. */
  batchesOfApp: (app: string) => `${prefix}:{${app}}:batches`,
  /** String: the ids that some lines of a batch were given, one after the other. */
  batchLines: (batch: string, chunk: number) => `${prefix}:{${batch}}:lines:${chunk}`,
  /** Hash: which history of Redis the partition was last seen in, and since when one may lack its last moments. */
  history: (partition: string) => `${prefix}:{${partition}}:history`,
  /** String, MessagePack: what is known of one phone number, by app. */
  phone: (partition: string, hash: string) => `${prefix}:{${partition}}:phone:${hash}`,
  /** Hash that expires: for an app and purpose of one phone number, the OTPs that replaced all earlier ones, and when. */
  superseded: (partition: string, hash: string) => `${prefix}:{${partition}}:superseded:${hash}`,
  /** Strings that expire: calls for an app in this second, and how many jobs found them used up. */
  appSends: (app: string) => `${prefix}:{${app}}:sends`,
  appSendsRefused: (app: string) => `${prefix}:{${app}}:sends-refused`,
  /** Hash that expires: credits of an app in a day (`YYYY-MM-DD`) or month (`YYYY-MM`) of BUDGET_TIME_ZONE. */
  budget: (app: string, period: string) => `${prefix}:{${app}}:budget:${period}`,
  /** Hash, on a cluster: credits that ended OTPs of this partition give back, by app and day. */
  unspent: (partition: string) => `${prefix}:{${partition}}:unspent`,
  /** String that expires: OTPs of an app in this second. */
  appWindow: (app: string) => `${prefix}:{${app}}:app`,
  /** String that expires: OTPs of an app for one client address in these ten minutes. */
  clientIpWindow: (hash: string) => `${prefix}:{${hash}}:client-ip`,
  /** String, MessagePack: what the toll-fraud guard knows of an app's number range. */
  range: (hash: string) => `${prefix}:{${hash}}:range`,
  /** Set: app and range of what the guard slowed, blocked or capped. */
  ranges: `${prefix}:{ranges}:judged`,
  /** Hash, MessagePack by app and country: OTPs sent and verified, by the minute of sending. */
  conversion: `${prefix}:{conversion}:counts`,
  /** Hash, JSON by app and country: alarms that hardly any OTPs are verified. */
  conversionAlarms: `${prefix}:{conversion}:alarms`,
  /** String, JSON: which record an idempotency key stands for. */
  idempotency: (hash: string) => `${prefix}:{${hash}}:idempotency`,
  /** Sorted set: ids of the OTPs that carry one reference of one app, by time. */
  reference: (hash: string) => `${prefix}:{${hash}}:reference`,
  /** Hash: the account trouble that pauses sending. */
  pause: `${prefix}:{sending}:pause`,
  /** Hash, JSON by app: what is known of the calls for its OTPs (`lua/sending/app-calls.lua`). */
  appCalls: `${prefix}:{sending}:app-calls`,
  /** Hash: apps that an operator paused, and since when. */
  appPauses: `${prefix}:{sending}:app-pauses`,
  /** String: how many OTPs the workers are done with. */
  done: `${prefix}:{sending}:done`,
  /** String that expires: held by the one process that does a job for all. */
  lease: (name: string) => `${prefix}:{sending}:lease:${name}`,
  /** Stream: events that wait to be passed on, beside what they tell of: a partition, `batches`, `sending`, `balance`, … */
  events: (source: string) => `${prefix}:{${source}}:events`,
  /** Hash that expires: what happened in each five minutes of a day (`YYYY-MM-DD`, UTC). */
  stats: (day: string) => `${prefix}:{stats}:${day}`,
  /** Stream that expires: who did what on a day (`YYYY-MM-DD`, UTC). */
  audit: (day: string) => `${prefix}:{audit}:${day}`,
  /** Sorted set: balance snapshots as JSON, by time. */
  balanceHistory: `${prefix}:{balance}:history`,
  /** Hash: which balance alarms are on. */
  balanceAlarms: `${prefix}:{balance}:alarms`,
  /** String that expires: failed admin logins of one client address. */
  failedLogins: (hash: string) => `${prefix}:{${hash}}:failed-logins`,
  /** String that expires: written to show that Redis takes writes. */
  probe: (partition: string) => `${prefix}:{${partition}}:probe`,
} as const;

/** A key under the current encryption key, and where the same would be under older ones. */
export interface HashedKey {
  current: string;
  older: readonly string[];
}

/** The keys that a text's hashes under each encryption key lead to. */
export function hashedKey([current, ...older]: KeyedHashes, toKey: (hash: string) => string): HashedKey {
  return { current: toKey(current), older: older.map(toKey) };
}

/**
 * What is known under an older encryption key goes on under the current one, where nothing is known yet: changing `ENCRYPTION_KEYS`
 * must not unlock a number, give a limit back or end a block. Costs nothing while there is one encryption key. The old one stays
 * as it was: which of two keys is the older one, processes do not agree on during a rollout, and none may shorten a lock.
 */
export async function copyToCurrentKey(redis: RedisClient, keys: readonly HashedKey[]): Promise<void> {
  await Promise.all(
    keys.map(async ({ current, older }) => {
      if (older.length === 0 || (await redis.exists(current)) === 1) return;
      for (const key of older) {
        const [known, leftMs] = await Promise.all([redis.getBuffer(key), redis.pttl(key)]);
        if (!known || leftMs <= 0) continue;
        // Another process may have done it before.
        await redis.set(current, known, 'PX', leftMs, 'NX');
        return;
      }
    }),
  );
}

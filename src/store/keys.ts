import { randomBytes } from 'node:crypto';

const prefix = 'isms';

/**
 * Everything of one phone number lives in one of these, chosen by the number's keyed hash. They are hash tags, and the
 * n-th falls into the n-th of 64 equal shares of a Redis Cluster's slots, so that its masters carry equal load.
 */
export const partitions: readonly string[] = (
  'mm ry e0 e8 v1 qt ap ax tb kv dn df 3g wg gc xw 8g d6 t2 02 g3 pk pr pz 99 zt 1d m5 fm yy va n8 ' +
  '7a k0 ce 8y pd 4d x9 x1 jf ur zj b3 vw q2 yg fs bk z2 rg ms af an qj qb c5 dp kh 0t gu xa he 44'
).split(' ');

const known = new Set(partitions);
const idShape = /^otp_([0-9a-z]{2})[A-Za-z0-9_-]{22}$/;

/** The partition of a phone number, from its keyed hash in base64url. */
export function partitionOf(hash: string): string {
  const [first = 0] = Buffer.from(hash.slice(0, 2), 'base64url');
  return partitions[first % partitions.length] ?? '';
}

let random = Buffer.alloc(0);

/** 128 random bits as text, drawn for many ids at a time: a call for each took 2.5 µs (measured). */
function randomText(): string {
  if (random.length === 0) random = randomBytes(4_096);
  const text = random.toString('base64url', 0, 16);
  random = random.subarray(16);
  return text;
}

/** A new id, `otp_` + partition + 128 random bits: nobody can guess one. */
export function newOtpId(partition: string): string {
  return `otp_${partition}${randomText()}`;
}

const batchShape = /^batch_([A-Za-z0-9_-]{22})$/;

/** A new batch's name: 128 random bits. */
export function newBatch(): string {
  return randomText();
}

/** The id of a batch as apps see it. */
export function batchId(batch: string): string {
  return `batch_${batch}`;
}

/** The batch an id names, or null when it is no id of ours. */
export function batchOfId(id: string): string | null {
  return batchShape.exec(id)?.[1] ?? null;
}

/** The partition an id names, or null when it is no id of ours. */
export function partitionOfId(id: string): string | null {
  const partition = idShape.exec(id)?.[1];
  return partition !== undefined && known.has(partition) ? partition : null;
}

/** What all keys of a key's partition begin with. */
export function prefixOf(key: string): string {
  return key.slice(0, key.indexOf('}') + 2);
}

/** The history of a partition, by what its keys begin with. */
export function historyKey(partitionPrefix: string): string {
  return `${partitionPrefix}history`;
}

/**
 * Every key the store keeps in Redis. The part in braces is the hash tag: keys with the same tag share a slot of
 * Redis Cluster, so whatever one Lua function touches about one phone number stays together.
 */
export const keys = {
  /** String, JSON: an OTP's record. */
  record: (partition: string, id: string) => `${prefix}:{${partition}}:${id}`,
  /** The same for an id of ours. */
  recordOfId: (id: string) => `${prefix}:{${partitionOfId(id) ?? ''}}:${id}`,
  /** Sorted set: ids of a partition's OTPs that have not ended, by when the sweeper must look. */
  due: (partition: string) => `${prefix}:{${partition}}:due`,
  /** Hash: how many OTPs of a batch have which status in this partition, and since when the batch is cancelled. */
  batchCounts: (partition: string, batch: string) => `${prefix}:{${partition}}:batch:${batch}`,
  /** Hash: app, creation and number of lines of a batch, and since when it is cancelled. */
  batch: (batch: string) => `${prefix}:{${batch}}:batch`,
  /** String: the ids that some lines of a batch were given, one after the other. */
  batchLines: (batch: string, chunk: number) => `${prefix}:{${batch}}:lines:${chunk}`,
  /** Hash: which history of Redis the partition was last seen in, and since when one may lack its last moments. */
  history: (partition: string) => historyKey(`${prefix}:{${partition}}:`),
  /** String, MessagePack: what is known of one phone number, by app. */
  phone: (partition: string, hash: string) => `${prefix}:{${partition}}:phone:${hash}`,
  /** String that expires: OTPs of an app in this second. */
  appWindow: (app: string) => `${prefix}:{${app}}:app`,
  /** String that expires: OTPs of an app for one client address in these ten minutes. */
  clientIpWindow: (hash: string) => `${prefix}:{${hash}}:client-ip`,
  /** String, MessagePack: what the toll-fraud guard knows of an app's number range. */
  range: (hash: string) => `${prefix}:{${hash}}:range`,
  /** Set: app and range of what the guard slowed, blocked or capped. */
  ranges: `${prefix}:{ranges}:judged`,
  /** String, JSON: which record an idempotency key stands for. */
  idempotency: (hash: string) => `${prefix}:{${hash}}:idempotency`,
  /** Sorted set: ids of the OTPs that carry one reference of one app, by time. */
  reference: (hash: string) => `${prefix}:{${hash}}:reference`,
  /** Hash: the account trouble that pauses sending. */
  pause: `${prefix}:{sending}:pause`,
  /** String: how many OTPs the workers are done with. */
  done: `${prefix}:{sending}:done`,
  /** String that expires: held by the one process that does a job for all. */
  lease: (name: string) => `${prefix}:{sending}:lease:${name}`,
  /** Sorted set: balance snapshots as JSON, by time. */
  balanceHistory: `${prefix}:{balance}:history`,
  /** Hash: which balance alarms are on. */
  balanceAlarms: `${prefix}:{balance}:alarms`,
  /** String that expires: failed admin logins of one client address. */
  failedLogins: (hash: string) => `${prefix}:{${hash}}:failed-logins`,
  /** String that expires: written to show that Redis takes writes. */
  ready: `${prefix}:{ready}:probe`,
} as const;

import { randomBytes } from 'node:crypto';

const prefix = 'isms';

/** Everything of one phone number lives in one of these, chosen by the number's keyed hash. Ids carry it. */
const partitionCount = 64;

const idShape = /^otp_([0-9a-f]{2})[A-Za-z0-9_-]{22}$/;
const idRandomBytes = 16;

/** All partitions: two hex digits each, `00` to `3f`. */
export const partitions: readonly string[] = Array.from({ length: partitionCount }, (_, i) =>
  i.toString(16).padStart(2, '0'),
);

/** The partition of a phone number, from its keyed hash in base64url. */
export function partitionOf(hash: string): string {
  const [first = 0] = Buffer.from(hash.slice(0, 2), 'base64url');
  return (first % partitionCount).toString(16).padStart(2, '0');
}

/** A new id, `otp_` + partition + 128 random bits: nobody can guess one. */
export function newOtpId(partition: string): string {
  return `otp_${partition}${randomBytes(idRandomBytes).toString('base64url')}`;
}

/** The partition an id names, or null when it is no id of ours. */
export function partitionOfId(id: string): string | null {
  const partition = idShape.exec(id)?.[1];
  return partition !== undefined && Number.parseInt(partition, 16) < partitionCount ? partition : null;
}

/**
 * Every key the store keeps in Redis. The part in braces is the hash tag: keys with the same tag share a slot of
 * Redis Cluster, so whatever one Lua function touches about one phone number stays together.
 */
export const keys = {
  /** String, JSON: an OTP's record. */
  record: (partition: string, id: string) => `${prefix}:{${partition}}:otp:${id}`,
  /** Sorted set: ids of a partition's OTPs that have not ended, by when the sweeper must look. */
  due: (partition: string) => `${prefix}:{${partition}}:due`,
  /** Hash: which history of Redis the partition was last seen in, and since when one may lack its last moments. */
  history: (partition: string) => `${prefix}:{${partition}}:history`,
  /** Hash: what is known of one phone number, a field per app. An empty hash is the prefix of them all. */
  phone: (partition: string, hash: string) => `${prefix}:{${partition}}:phone:${hash}`,
  /** String that expires: OTPs of an app in this second. */
  appWindow: (app: string) => `${prefix}:{${app}}:app`,
  /** String that expires: OTPs of an app for one client address in these ten minutes. */
  clientIpWindow: (hash: string) => `${prefix}:{${hash}}:client-ip`,
  /** String, JSON: what the toll-fraud guard knows of an app's number range. */
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

/** The keys that every function on a record is called with, in this order; an empty id names none. */
export function recordKeys(
  partition: string,
  id: string,
): [record: string, due: string, history: string, phones: string] {
  return [
    keys.record(partition, id),
    keys.due(partition),
    keys.history(partition),
    keys.phone(partition, ''),
  ];
}

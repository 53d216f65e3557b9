import { randomBytes } from 'node:crypto';

/**
 * Hash tags: all keys of a phone number have the same one, chosen by the number's keyed hash. The n-th lies in the n-th
 * of 64 equal shares of a Redis Cluster's slots, so that its masters carry equal load.
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

const random = { bytes: Buffer.alloc(0), used: 0 };

/** Random bytes, drawn for many calls at once: to draw them for each took 2.5 to 3 µs (measured). */
export function nextRandom(count: number): Buffer {
  if (random.used + count > random.bytes.length) {
    random.bytes = randomBytes(4_096);
    random.used = 0;
  }
  random.used += count;
  return random.bytes.subarray(random.used - count, random.used);
}

/** 128 random bits as text. */
export const randomText = () => nextRandom(16).toString('base64url');

/** A new, unguessable id: `otp_` + partition + 128 random bits. */
export function newOtpId(partition: string): string {
  return `otp_${partition}${randomText()}`;
}

/** The 128 random bits of an id as 32 hex digits, for protocols with such ids. */
export function hexOf(id: string): string {
  return Buffer.from(id.slice('otp_'.length + 2), 'base64url').toString('hex');
}

/** The id in this partition with these random bits. */
export function idOfHex(partition: string, hex: string): string {
  return `otp_${partition}${Buffer.from(hex, 'hex').toString('base64url')}`;
}

/** The partition in an id, or null for any other text. */
export function partitionOfId(id: string): string | null {
  const partition = idShape.exec(id)?.[1];
  return partition !== undefined && known.has(partition) ? partition : null;
}

/** Slots of a Redis Cluster. */
export const slotCount = 16_384;

/** The slot of a hash tag: CRC16 (XMODEM), as the Redis Cluster specification defines. */
export function hashSlot(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return (crc & 0xffff) % slotCount;
}

const batchShape = /^batch_([A-Za-z0-9_-]{22})$/;

/** The id of a batch as apps see it. */
export function batchId(batch: string): string {
  return `batch_${batch}`;
}

/** The batch an id names, or null when it is no id of ours. */
export function batchOfId(id: string): string | null {
  return batchShape.exec(id)?.[1] ?? null;
}

import type { Cluster, Redis } from 'ioredis';
import { hashSlot, partitionOfId, partitions, slotCount } from '../otp/otp-id.js';
import { queueNames, queuePrefix } from './queues.js';

/** As many as there are tags for them. */
export const mostShards = partitions.length;

/** Where BullMQ keeps one of several queues of the same kind. */
export interface ShardName {
  name: string;
  /** In front of its keys; with braces, so that all of them are in one slot of a Redis Cluster. */
  prefix: string;
}

/** Of 64 equal shares of a cluster's slots, the one in which `{isms}` lies (`CLUSTER KEYSLOT`). */
const firstShare = 24;

/**
 * The n-th of the send queues, from 0; the first is the one that there is without shards. Their slots follow the van
 * der Corput sequence to the base of 3: 3, 6, 9, … shards are spread evenly over three masters, 9, 18, … over nine, and
 * 18, 36, … over six.
 */
export function shardName(n: number): ShardName {
  if (n === 0) return { name: queueNames.sendOtp, prefix: queuePrefix };
  return { name: `${queueNames.sendOtp}-${n}`, prefix: `isms:{${tagOf(n)}}` };
}

function tagOf(n: number): string {
  if (n === 0) return queuePrefix.slice(1, -1);
  const share = (firstShare + Math.floor(spread(n) * partitions.length)) % partitions.length;
  return partitions[share] ?? '';
}

/** The digits of n to the base of 3, mirrored at the point: 1/3, 2/3, 1/9, 4/9, 7/9, 2/9, … */
function spread(n: number): number {
  let [rest, digit, sum] = [n, 1 / 3, 0];
  for (; rest > 0; rest = Math.floor(rest / 3), digit /= 3) sum += (rest % 3) * digit;
  return sum;
}

/**
 * Which of `count` shards the job of an OTP goes to. The slots are cut into as many equal parts as there are shards, and
 * the shards are taken in the order of their slots: where each master has as many, an OTP's record and its job are with
 * the same one, and one that is away stops only its own.
 */
export function shardOf(count: number): (otpId: string) => number {
  const inOrder = Array.from({ length: count }, (_, n) => n).sort(
    (a, b) => hashSlot(tagOf(a)) - hashSlot(tagOf(b)),
  );
  const shards = new Map(
    partitions.map((tag) => [tag, inOrder[Math.floor((hashSlot(tag) * count) / slotCount)] ?? 0]),
  );
  return (otpId) => shards.get(partitionOfId(otpId) ?? '') ?? 0;
}

/** How many shards there have been at most: whoever adds to more says so before it does. */
const shardsKey = 'isms:{queues}:send-otp-shards';

/** Lets workers know of shards that they may not have been told of, so that nothing waits where nobody looks. */
export async function announceShards(redis: Redis | Cluster, count: number): Promise<void> {
  const raise =
    "if tonumber(redis.call('GET', KEYS[1]) or 1) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end";
  if (count > 1) await redis.eval(raise, 1, shardsKey, count);
}

/** The numbers of all shards that there have been, in any process, and of so many that there are in this one. */
export async function knownShards(redis: Redis | Cluster, count: number): Promise<number[]> {
  const most = Math.max(count, Number((await redis.get(shardsKey)) ?? 0));
  return Array.from({ length: Math.min(most, mostShards) }, (_, n) => n);
}

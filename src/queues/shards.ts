import type { Cluster, Redis } from 'ioredis';
import { hashSlot, partitionOfId, partitions, slotCount } from '../otp/otp-id.js';
import { queueNames, queuePrefix } from './queues.js';

/** One for each hash tag. */
export const mostShards = partitions.length;

/** The share, of 64 equal ones, of a cluster's slots with `{isms}` (`CLUSTER KEYSLOT`). */
const firstShare = 24;

/**
 * Name and key prefix of the n-th shard, from 0; the first is the queue used without shards. The prefix is in braces, so
 * that all keys of the shard are in one slot of a Redis Cluster. The slots follow the van der Corput sequence in base 3:
 * 3, 6, 9, … shards spread evenly over three masters, 9, 18, … over nine, and 18, 36, … over six.
 */
export function shardName(n: number) {
  if (n === 0) return { name: queueNames.sendOtp, prefix: queuePrefix };
  return { name: `${queueNames.sendOtp}-${n}`, prefix: `isms:{${tagOf(n)}}` };
}

function tagOf(n: number): string {
  if (n === 0) return queuePrefix.slice(1, -1);
  const share = (firstShare + Math.floor(spread(n) * partitions.length)) % partitions.length;
  return partitions[share] ?? '';
}

/** The digits of n in base 3, mirrored at the point: 1/3, 2/3, 1/9, 4/9, 7/9, 2/9, … */
function spread(n: number): number {
  let [rest, digit, sum] = [n, 1 / 3, 0];
  for (; rest > 0; rest = Math.floor(rest / 3), digit /= 3) sum += (rest % 3) * digit;
  return sum;
}

/**
 * The shard, of `count`, for the job of an OTP. The slots are divided into `count` equal parts, assigned to the shards in
 * the order of their slots: if each master has as many shards, an OTP's record and job are on the same master, and a
 * master that is away stops only its own.
 */
export function shardOf(count: number): (otpId: string) => number {
  const ofPartition = shardOfPartition(count);
  return (otpId) => ofPartition(partitionOfId(otpId) ?? '');
}

/** The same by partition. */
export function shardOfPartition(count: number): (partition: string) => number {
  const inOrder = Array.from({ length: count }, (_, n) => n).sort(
    (a, b) => hashSlot(tagOf(a)) - hashSlot(tagOf(b)),
  );
  const shards = new Map(
    partitions.map((tag) => [tag, inOrder[Math.floor((hashSlot(tag) * count) / slotCount)] ?? 0]),
  );
  return (partition) => shards.get(partition) ?? 0;
}

/** The largest number of shards so far; a process raises it before it adds to more. */
const shardsKey = 'isms:{queues}:send-otp-shards';

/** Announces shards to workers configured with fewer, so that they process these as well. */
export async function announceShards(redis: Redis | Cluster, count: number): Promise<void> {
  const raise =
    "if tonumber(redis.call('GET', KEYS[1]) or 1) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end";
  if (count > 1) await redis.eval(raise, 1, shardsKey, count);
}

/** The numbers of all shards so far, of this process and others. */
export async function knownShards(redis: Redis | Cluster, count: number): Promise<number[]> {
  const most = Math.max(count, Number((await redis.get(shardsKey)) ?? 0));
  return Array.from({ length: Math.min(most, mostShards) }, (_, n) => n);
}

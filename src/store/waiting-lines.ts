import { z } from 'zod';
import { fulfilled } from '../lib/with-timeout.js';
import type { Otp } from '../otp/otp.js';
import { partitions } from '../otp/otp-id.js';
import type { Encrypter } from './encryption.js';
import { keys } from './keys.js';
import { slotDeadlineMs } from './number-ranges.js';
import { openRecord } from './record.js';
import { loadListScript, loadRecordScript, type RecordScriptOptions, tryOr } from './script.js';

/** Lines of a batch that wait for their release, by partition. */
export interface WaitingCount {
  /** Length of each partition's list, ended lines included. */
  byPartition: readonly number[];
  /** Lines that wait for their release. */
  waiting: number;
  /** OTPs that were released and not sent yet. */
  inFlight: number;
  inFlightByPartition: readonly number[];
  /** Redis's clock, in ms since 1970. */
  at: number;
  /** False while a master of a cluster does not answer. */
  complete: boolean;
}

/** Why the lines of a batch wait; null: only for their turn. */
export const waitReasons = [
  'start',
  'paused',
  'app_paused',
  'pace',
  'earlier_batch',
  'number_range',
] as const;
export type WaitReason = (typeof waitReasons)[number];

/** A released OTP. `exempt`: its number was verified lately, so the toll-fraud guard does not check it. */
export interface ReleasedOtp {
  otp: Otp;
  exempt: boolean;
}

/** Lines of batches that wait for their release into the send queue (ADR 44). */
export type WaitingLines = ReturnType<typeof createWaitingLines>;

/** As long as the lines of a batch may wait. */
const appQueueKeptMs = 9 * 86_400_000;

/** Of each partition, in one call. */
const endedAtATime = 20;

const countReply = z.tuple([z.number(), z.number(), z.number(), z.number()]);
const heldSchema = z.array(z.number());
const releaseReply = z.tuple([z.number(), z.array(z.tuple([z.string(), z.number()]))]);
export const activeSchema = z.object({
  app: z.string(),
  waiting: z.number(),
  /** OTPs released and not sent yet. */
  inFlight: z.number(),
  /** When it started, or was created, in ms since 1970: an app's batches go in this order. */
  order: z.number(),
  waitsFor: z.enum(waitReasons).nullable(),
});

/** A batch that has not ended, as its upload or last turn noted it. */
export type ActiveBatch = { batch: string } & z.infer<typeof activeSchema>;

export function createWaitingLines(options: RecordScriptOptions & { encrypter: Encrypter }) {
  const { redis, encrypter, policy } = options;
  const countScript = loadListScript(redis, 'batches/waiting#count', policy, slotDeadlineMs);
  const releaseScript = loadRecordScript(options, 'batches/waiting#release', {
    least: partitions.length,
    most: partitions.length,
    inFlight: 2,
    deadlineMs: slotDeadlineMs,
  });
  const returnScript = loadRecordScript(options, 'batches/waiting#put-back');
  /** A record that no encryption key opens is left to the sweeper, which reports it. */
  const open = ([raw, exempt]: [string, number]): ReleasedOtp[] =>
    tryOr(() => [{ otp: openRecord(encrypter, raw), exempt: exempt === 1 }], []);
  const appQueue = (app: string, most: number) =>
    redis.zrange(keys.appBatchQueue(app), '0', String(most - 1));
  const firstOfApp = async (app: string) => (await appQueue(app, 1))[0] ?? null;
  return {
    /** Batches with waiting lines, and the app of each, in the partitions that answer. */
    batches: async () => {
      const read = await Promise.allSettled(
        partitions.map((partition) => redis.hgetall(keys.waitingBatches(partition))),
      );
      const found = read.flatMap((one) => (one.status === 'fulfilled' ? Object.entries(one.value) : []));
      return { apps: new Map(found), complete: read.every(({ status }) => status === 'fulfilled') };
    },
    count: async (batch: string) => {
      const calls = partitions.map((partition) => ({ key: keys.batchCounts(partition, batch), args: [] }));
      const answers = await countScript(calls);
      const counts = answers.map((answer) => (answer instanceof Error ? null : countReply.parse(answer)));
      const [known] = counts.filter((count) => count !== null);
      if (!known) throw answers[0];
      // Lines that ended stay in the list until they are taken.
      const waiting = counts.map((count) => (count ? Math.min(count[0], count[1]) : 0));
      const byPartition = counts.map((count) => count?.[0] ?? 0);
      const sum = (of: readonly number[]) => of.reduce((a, b) => a + b, 0);
      const inFlight = counts.map((count, i) => (count ? count[1] + count[2] - (waiting[i] ?? 0) : 0));
      return {
        byPartition,
        waiting: sum(waiting),
        inFlight: sum(inFlight),
        inFlightByPartition: inFlight,
        at: known[3],
        complete: counts.every((count) => count !== null),
      };
    },
    /** Takes up to `most` lines, of each partition in proportion; the caller adds their jobs. */
    release: async (batch: string, most: number, { byPartition }: WaitingCount) => {
      // The sweeper finds lines that were taken from a master that did not answer.
      const released = await fulfilled(
        shares(most, byPartition).map(async (share, i) => {
          if (share === 0) return [];
          const key = keys.waitingLines(partitions[i] ?? '', batch);
          const [, lines] = releaseReply.parse(await releaseScript(key, [batch, share, 0]));
          return lines.flatMap(open);
        }),
      );
      return released.flat();
    },
    /** Takes lines that have ended, some of each partition; resolves with their number, 0 if none is left. */
    takeEnded: async (batch: string) => {
      const taken = await fulfilled(
        partitions.map(async (partition) => {
          const key = keys.waitingLines(partition, batch);
          return releaseReply.parse(await releaseScript(key, [batch, endedAtATime, 1]))[0];
        }),
      );
      return taken.reduce((sum, count) => sum + count, 0);
    },
    /** Makes released OTPs wait again, before or behind the other lines of their batch. */
    putBack: async (otps: readonly Pick<Otp, 'id'>[], position: 'first' | 'last') => {
      await Promise.all(otps.map(({ id }) => returnScript(keys.recordOfId(id), [position])));
    },
    /** Adds a batch to its app's queue, by its order; resolves with the first in the queue. */
    joinAppQueue: async (app: string, batch: string, order: number) => {
      const key = keys.appBatchQueue(app);
      const added = redis.zadd(key, order, batch);
      const kept = redis.pexpire(key, appQueueKeptMs);
      // Together: one that rejected before it was awaited would end the process.
      const [first] = await Promise.all([firstOfApp(app), added, kept]);
      return first ?? batch;
    },
    /** Removes batches from their app's queue; resolves with the first that remains, or null if none of them was in it. */
    leaveAppQueue: async (app: string, ...batches: string[]) => {
      const left = redis.zrem(keys.appBatchQueue(app), ...batches);
      const [first, count] = await Promise.all([firstOfApp(app), left]);
      return count > 0 ? first : null;
    },
    /** The first batch in an app's queue, or null. */
    firstOfApp,
    /** Up to `most` batches of an app's queue, in their order. */
    appQueue,
    /** Batches with waiting lines that had a turn before. */
    active: async () => {
      const found = await redis.hgetall(keys.activeBatches);
      return Object.entries(found).flatMap(([batch, text]) => {
        const parsed = activeSchema.safeParse(JSON.parse(text));
        return parsed.success ? [{ batch, ...parsed.data }] : [];
      });
    },
    note: async ({ batch, ...active }: ActiveBatch) => {
      await redis.hset(keys.activeBatches, batch, JSON.stringify(active));
    },
    /** By index in `partitions`: lines at the end of the list whose number range was limited at their release. */
    held: async (batch: string) =>
      heldSchema.parse(JSON.parse((await redis.hget(keys.heldLines, batch)) ?? '[]')),
    noteHeld: async (batch: string, lines: readonly number[]) => {
      if (lines.some((count) => count > 0)) await redis.hset(keys.heldLines, batch, JSON.stringify(lines));
      else await redis.hdel(keys.heldLines, batch);
    },
    /** Forgets that these batches were active. */
    drop: async (batches: readonly string[]) => {
      if (batches.length === 0) return;
      await Promise.all([keys.activeBatches, keys.heldLines].map((key) => redis.hdel(key, ...batches)));
    },
  };
}

/** Shares `most` among partitions in proportion to their lines, so that lines leave in about their order. */
function shares(most: number, lines: readonly number[]): number[] {
  const total = lines.reduce((a, b) => a + b, 0);
  if (total <= most) return [...lines];
  const shared = lines.map((count) => Math.floor((most * count) / total));
  let left = most - shared.reduce((a, b) => a + b, 0);
  // Whole lines that the proportion leaves over go to partitions at random: those of the first ones must not be ahead.
  const first = Math.floor(Math.random() * lines.length);
  for (let i = first; left > 0; i = (i + 1) % lines.length) {
    if ((shared[i] ?? 0) >= (lines[i] ?? 0)) continue;
    shared[i] = (shared[i] ?? 0) + 1;
    left -= 1;
  }
  return shared;
}

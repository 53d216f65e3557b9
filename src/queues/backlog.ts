import type { Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { placesLeft } from './fair-queue.js';

/** Jobs waiting for a worker. */
export interface Backlog {
  single: number;
  bulk: number;
  /** Single and bulk jobs delayed for a retry or an app on hold. They return behind the others. */
  delayed: number;
  /** Approximate bulk jobs of each app. */
  bulkByApp: ReadonlyMap<string, number>;
}

/** The backlog of one queue. */
export async function backlogOf(redis: Redis | Cluster, queue: Queue): Promise<Backlog> {
  const [counts, bulkByApp] = await Promise.all([
    queue.getJobCounts('waiting', 'delayed', 'prioritized'),
    placesLeft(redis, (name) => queue.toKey(name)),
  ]);
  const { waiting = 0, delayed = 0, prioritized = 0 } = counts;
  return { single: waiting, bulk: prioritized, delayed, bulkByApp };
}

/** The backlog of several queues. */
export function sumOf(backlogs: readonly Backlog[]): Backlog {
  const bulkByApp = new Map<string, number>();
  for (const backlog of backlogs) {
    for (const [app, count] of backlog.bulkByApp) bulkByApp.set(app, (bulkByApp.get(app) ?? 0) + count);
  }
  const sum = (of: (backlog: Backlog) => number) => backlogs.reduce((total, each) => total + of(each), 0);
  return {
    single: sum(({ single }) => single),
    bulk: sum(({ bulk }) => bulk),
    delayed: sum(({ delayed }) => delayed),
    bulkByApp,
  };
}

/** When the next jobs were added, in ms since 1970; null if none waits. */
export interface WaitingSince {
  single: number | null;
  bulk: number | null;
}

/** Bulk jobs read: the fair queue alternates apps, oldest job of each first. */
const lookedAt = 100;

/** When the next jobs of one queue were added. */
export async function waitingSince(redis: Redis | Cluster, queue: Queue): Promise<WaitingSince> {
  const [single, bulk] = await Promise.all([
    redis.lindex(queue.toKey('wait'), -1),
    redis.zrange(queue.toKey('prioritized'), '0', String(lookedAt - 1)),
  ]);
  const added = async (ids: readonly unknown[]) => {
    const times = await Promise.all(ids.map((id) => redis.hget(queue.toKey(String(id)), 'timestamp')));
    return first(times.map((time) => (time === null ? null : Number(time))));
  };
  return { single: single === null ? null : await added([single]), bulk: await added(bulk) };
}

/** The earliest of several queues. */
export function earliest(queues: readonly WaitingSince[]): WaitingSince {
  return { single: first(queues.map(({ single }) => single)), bulk: first(queues.map(({ bulk }) => bulk)) };
}

function first(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}

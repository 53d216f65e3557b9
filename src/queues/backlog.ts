import type { Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { placesLeft } from './fair-queue.js';

/** Jobs that wait for a worker. */
export interface Backlog {
  single: number;
  bulk: number;
  /** Of both lanes: delayed, for a retry or because their app is on hold. They return behind the others. */
  delayed: number;
  /** Of the bulk, about how many are an app's own; apps take turns. */
  bulkByApp: ReadonlyMap<string, number>;
}

/** What waits in one queue. */
export async function backlogOf(redis: Redis | Cluster, queue: Queue): Promise<Backlog> {
  const [counts, bulkByApp] = await Promise.all([
    queue.getJobCounts('waiting', 'delayed', 'prioritized'),
    placesLeft(redis, (name) => queue.toKey(name)),
  ]);
  const { waiting = 0, delayed = 0, prioritized = 0 } = counts;
  return { single: waiting, bulk: prioritized, delayed, bulkByApp };
}

/** What waits in all of them. */
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

/** Since when the next ones wait, in ms since 1970; null where none does. */
export interface WaitingSince {
  single: number | null;
  bulk: number | null;
}

/** So many of bulk are looked at: apps take turns, and each one's oldest comes first. */
const lookedAt = 100;

/** Since when those wait in one queue whose turn comes next. */
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

/** Since when they wait in all of them. */
export function earliest(queues: readonly WaitingSince[]): WaitingSince {
  return { single: first(queues.map(({ single }) => single)), bulk: first(queues.map(({ bulk }) => bulk)) };
}

function first(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}

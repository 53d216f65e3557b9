import type { Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { placesLeft } from './turns.js';

/** Jobs that wait for a worker. */
export interface Backlog {
  /** Those that somebody waits for, and those that wait for a moment. */
  single: number;
  bulk: number;
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
  return { single: waiting + delayed, bulk: prioritized, bulkByApp };
}

/** What waits in all of them. */
export function sumOf(backlogs: readonly Backlog[]): Backlog {
  const bulkByApp = new Map<string, number>();
  for (const backlog of backlogs) {
    for (const [app, count] of backlog.bulkByApp) bulkByApp.set(app, (bulkByApp.get(app) ?? 0) + count);
  }
  const sum = (of: (backlog: Backlog) => number) => backlogs.reduce((total, each) => total + of(each), 0);
  return { single: sum(({ single }) => single), bulk: sum(({ bulk }) => bulk), bulkByApp };
}

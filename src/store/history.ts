import type { Redis } from 'ioredis';
import { z } from 'zod';
import { partitions } from '../otp/otp-id.js';
import { keys } from './keys.js';
import { loadScript, masterOf, mastersOf, type RedisClient } from './script.js';

/** `whole`: nothing lost; `may_have_lost`: last writes may be missing; `emptied`: no data left. */
export type HistoryFinding = 'whole' | 'may_have_lost' | 'emptied';

const reply = z.enum(['known', 'first_seen', 'whole', 'may_have_lost']);

/**
 * `note` records, for one partition, a new replication id: Redis restarted or took over from another one (ADR 10). Unless
 * it synced its log on every write, it may have lost claims whose calls were made; each such loss is counted, and queued
 * OTPs that were admitted before it count one unknown attempt.
 */
export function createHistories(redis: RedisClient, onNew: (finding: HistoryFinding) => void) {
  const script = loadScript(redis, 'gateway/note-history');
  const reported = new Set<string>();
  let seen: string[] = [];
  const reportEmptied = () => {
    seen = [];
    onNew('emptied');
  };
  return {
    note: async (historyKey: string) => {
      const synced = (await appendFsyncOf(masterOf(redis, historyKey))) === 'always';
      const finding = reply.parse(await script([historyKey], [synced ? 1 : 0]));
      // On a busy gateway each partition has a history again before the next check.
      if (finding === 'first_seen' && seen.includes(historyKey)) reportEmptied();
      if (finding !== 'whole' && finding !== 'may_have_lost') return;
      const id = (await redis.hget(historyKey, 'id')) ?? '';
      if (!reported.has(id)) onNew(finding);
      reported.add(id);
    },
    /** Checks whether the partitions still have their histories: if one is gone, Redis was emptied. */
    look: async () => {
      const all = partitions.map((tag) => keys.history(tag));
      const found = await Promise.allSettled(all.map((key) => redis.exists(key)));
      // An unavailable one is as it was.
      const isThere = (key: string, i: number) =>
        found[i]?.status === 'fulfilled' ? found[i].value === 1 : seen.includes(key);
      const there = all.filter(isThere);
      if (seen.some((key) => !there.includes(key))) reportEmptied();
      seen = there;
    },
  };
}

/** By the writes that may be lost, fewest first. */
const policies = ['always', 'everysec', 'no', 'off', 'hidden'];

/**
 * `always`, `everysec`, `no`, `off` without a log, or `hidden` where CONFIG is forbidden (managed Redis); of a cluster,
 * that of the master that can lose most.
 */
export async function appendFsync(redis: RedisClient): Promise<string> {
  const found = await Promise.all(mastersOf(redis).map(appendFsyncOf));
  return policies[Math.max(...found.map((policy) => policies.indexOf(policy)))] ?? 'hidden';
}

async function appendFsyncOf(redis: Redis): Promise<string> {
  try {
    const [, appendonly] = (await redis.config('GET', 'appendonly')) as string[];
    if (appendonly !== 'yes') return 'off';
    const [, policy] = (await redis.config('GET', 'appendfsync')) as string[];
    return policy ?? 'hidden';
  } catch (error) {
    if (error instanceof Error && /^NOPERM|unknown command/i.test(error.message)) return 'hidden';
    throw error;
  }
}

import type { Redis } from 'ioredis';
import { z } from 'zod';
import { loadPlainScript, masterOf, mastersOf, type RedisClient } from './script.js';

/** What another history of Redis's data means: all of it came back, or its last moments may be missing. */
export type HistoryFinding = 'whole' | 'may_have_lost';

const reply = z.enum(['known', 'first_seen', 'whole', 'may_have_lost']);

/**
 * Judges, for one partition, a Redis that restarted or that took over from another one (ADR 10). Unless it synced
 * its log on every write, it may have forgotten claims whose calls went out; each such loss is counted, and OTPs that
 * were admitted before it and look queued count one unknown attempt.
 */
export function createHistoryNotes(redis: RedisClient, onNew: (finding: HistoryFinding) => void) {
  const note = loadPlainScript(redis, 'note-history');
  const told = new Set<string>();
  return async (historyKey: string): Promise<void> => {
    const synced = (await appendFsyncOf(masterOf(redis, historyKey))) === 'always';
    const finding = reply.parse(await note([historyKey], [synced ? 1 : 0]));
    if (finding !== 'whole' && finding !== 'may_have_lost') return;
    const id = (await redis.hget(historyKey, 'id')) ?? '';
    if (!told.has(id)) onNew(finding);
    told.add(id);
  };
}

/** From what loses nothing to what loses most. */
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

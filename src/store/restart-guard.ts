import type { Redis } from 'ioredis';
import { keys, partitions } from './keys.js';

/** The longest an OTP can wait (`sendBefore` is at most a day away). */
const longestWaitMs = 86_400_000;
const noReplicationId = '0'.repeat(40);

/** What the guard found: Redis never changed, came back whole, or may have lost its last moments. */
export type RestartFinding = 'same' | 'first_seen' | 'durable' | 'may_have_lost';

/**
 * Called before the first claim that a restarted Redis is asked for. Unless that Redis syncs its log on every
 * write, it may have forgotten claims whose calls went out, so every OTP that now looks queued counts one unknown
 * attempt; the mark is set in every partition before any worker can claim.
 */
export async function guardRestart(redis: Redis): Promise<RestartFinding> {
  const info = await redis.info();
  const field = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1] ?? '';
  const runId = field('run_id');
  const previous = await redis.get(keys.server);
  if (previous === runId) return 'same';
  const failedOver = ![noReplicationId, ''].includes(field('master_replid2'));
  const durable = (await appendFsync(redis)) === 'always' && !failedOver;
  if (previous !== null && !durable) {
    const [seconds] = await redis.time();
    // What was admitted after Redis came up is whole; after a failover only "now" is sure. Both are whole seconds,
    // so the mark lies up to one second later than the truth.
    const upSeconds = failedOver ? 0 : Number(field('uptime_in_seconds'));
    const at = (Number(seconds) + 1 - upSeconds) * 1_000;
    await Promise.all(partitions.map((p) => redis.set(keys.rollback(p), at, 'PX', longestWaitMs)));
  }
  await redis.set(keys.server, runId);
  if (previous === null) return 'first_seen';
  return durable ? 'durable' : 'may_have_lost';
}

/** `always`, `everysec`, `no`, `off` without a log, or `hidden` where CONFIG is forbidden (managed Redis). */
export async function appendFsync(redis: Redis): Promise<string> {
  try {
    const [, appendonly] = (await redis.config('GET', 'appendonly')) as string[];
    if (appendonly !== 'yes') return 'off';
    const [, policy] = (await redis.config('GET', 'appendfsync')) as string[];
    return policy ?? 'hidden';
  } catch {
    return 'hidden';
  }
}

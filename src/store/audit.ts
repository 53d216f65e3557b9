import { z } from 'zod';
import { createBatcher } from '../lib/batcher.js';
import { dayMs, dayOf } from '../lib/time.js';
import { keys } from './keys.js';
import { type RedisClient, singleRecordLimits } from './script.js';

const entrySchema = z.object({
  /** Milliseconds since 1970, UTC. */
  at: z.number(),
  /** `app:<app>`, `admin:<login>`, or `operator` for who ran a command. */
  actor: z.string(),
  /** An operation of the API, a route of the admin pages, or a command. */
  action: z.string(),
  /** An id of ours that it was about. */
  subject: z.string().optional(),
  /** Result: HTTP status, or `begun` for a command. */
  result: z.string(),
  /** The stable code of the problem it was answered with. */
  code: z.string().optional(),
  requestId: z.string().optional(),
});

/** Actions, actors and results; never a number, a code or a key. */
export type AuditEntry = z.infer<typeof entrySchema>;

const readAtATime = 1_000;
/** The most that can be asked to be kept, and a day. */
const longestMs = 3_651 * dayMs;

/** The audit log in Redis, a stream a day, each kept for `keepDays`; 0: none is kept. */
export function createAudit(redis: RedisClient, keepDays: number) {
  const write = createBatcher(async (entries: AuditEntry[]) => {
    const written = entries.map((entry) =>
      redis.xadd(keys.audit(dayOf(entry.at)), '*', 'entry', JSON.stringify(entry)),
    );
    const days = [...new Set(entries.map(({ at }) => dayOf(at)))];
    const kept = days.map((day) => redis.pexpire(keys.audit(day), (keepDays + 1) * dayMs));
    await Promise.all([...written, ...kept]);
    return entries;
  }, singleRecordLimits);
  return {
    /** Resolves once it is written down. */
    add: async (entry: AuditEntry) => {
      if (keepDays > 0) await write(entry);
    },
    /** Oldest first, `since` ≤ at < `until`. */
    read: async function* (since: number, until: number) {
      const now = Date.now();
      const last = Math.min(until, now + dayMs);
      for (let day = Date.parse(dayOf(Math.max(since, now - longestMs))); day < last; day += dayMs) {
        let from = '-';
        for (;;) {
          const found = await redis.xrange(keys.audit(dayOf(day)), from, '+', 'COUNT', readAtATime);
          for (const [, fields] of found) {
            const entry = entrySchema.parse(JSON.parse(fields[1] ?? ''));
            if (entry.at >= since && entry.at < until) yield entry;
          }
          const newest = found.at(-1)?.[0];
          if (found.length < readAtATime || newest === undefined) break;
          from = `(${newest}`;
        }
      }
    },
  };
}

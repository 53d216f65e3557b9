import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { Otp } from '../otp/otp.js';
import { keys } from './keys.js';
import { loadPlainScript, type Policy } from './script.js';
import type { Sealer } from './sealing.js';

/** A range that the toll-fraud guard slowed or blocked. Times are ms of Redis's clock; those past are over. */
export interface JudgedRange {
  app: string;
  /** E.164 digits without the last four. */
  range: string;
  slowUntil: number;
  blockedUntil: number;
  /** OTPs refused, or in monitor mode: that would have been. */
  refused: number;
}

/** Number ranges of 10,000 numbers, as the toll-fraud guard sees them. Admission judges them (`lua/range.lua`). */
export interface NumberRanges {
  /** Counts that an OTP was sent or verified. Never rejects: losing one only makes the guard a little more strict. */
  note(otp: Otp, what: 'sent' | 'verified'): Promise<void>;
  /** Those that were slowed or blocked lately. */
  judged(): Promise<JudgedRange[]>;
  /** Forgets everything about a range, what was decided too. False when nothing is known of it. */
  forget(app: string, range: string): Promise<boolean>;
}

const stateSchema = z.object({ slowUntil: z.number(), blockedUntil: z.number(), refused: z.number() });

export function createNumberRanges(options: {
  redis: Redis;
  sealer: Sealer;
  fraudGuard: Policy['fraudGuard'];
}): NumberRanges {
  const { redis, sealer, fraudGuard } = options;
  const noteScript = loadPlainScript(redis, 'note-range', ['range']);
  const keyOf = (app: string, range: string) =>
    keys.range(sealer.hashes('number range', `${app}\n${range}`)[0]);
  const read = async (name: string): Promise<JudgedRange[]> => {
    const [app = '', range = ''] = name.split(' ');
    const raw = await redis.get(keyOf(app, range));
    if (raw !== null) return [{ app, range, ...stateSchema.parse(JSON.parse(raw)) }];
    await redis.srem(keys.ranges, name);
    return [];
  };
  return {
    note: async ({ app, to, createdAt }, what) => {
      if (fraudGuard === 0) return;
      await noteScript([keyOf(app, to.range)], [what, createdAt]).catch(() => {});
    },
    judged: async () => {
      const names = await redis.smembers(keys.ranges);
      return (await Promise.all(names.sort().map(read))).flat();
    },
    forget: async (app, range) => {
      const [known] = await Promise.all([
        redis.del(keyOf(app, range)),
        redis.srem(keys.ranges, `${app} ${range}`),
      ]);
      return known === 1;
    },
  };
}

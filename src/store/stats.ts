import { slotMs } from '../lib/tally.js';
import { dayMs, dayOf } from '../lib/time.js';
import { keys } from './keys.js';
import { loadScript, type RedisClient } from './script.js';

/** Counts and maxima of a slot. */
export interface StatsSlot {
  /** Start, ms since 1970. */
  at: number;
  /** Counts and maxima by name. */
  values: Record<string, number>;
}

const keptMs = 8 * dayMs;

/** Statistics of all processes for the overview page, in one hash per day; not exact enough for accounting. */
export function createStats(redis: RedisClient) {
  const addScript = loadScript(redis, 'gateway/add-stats');
  const readDay = async (day: string) => {
    const slots = new Map<number, Record<string, number>>();
    for (const [field, value] of Object.entries(await redis.hgetall(keys.stats(day)))) {
      const [slot = '', name = ''] = field.split(/:(.*)/s);
      const at = Date.parse(day) + Number(slot) * slotMs;
      slots.set(at, { ...slots.get(at), [name]: Number(value) });
    }
    return slots;
  };
  return {
    /** Adds counts to the current slot, and raises its maxima to the values seen. */
    add: async (counts: Record<string, number>, seen: Record<string, number> = {}) => {
      const now = Date.now();
      const slot = Math.floor((now % dayMs) / slotMs);
      const args = [`${slot}:`, JSON.stringify(counts), JSON.stringify(seen), keptMs];
      await addScript([keys.stats(dayOf(now))], args);
    },
    /** Every slot from `since` until now, empty ones included; at most 8 days are kept. */
    read: async (since: number) => {
      const now = Date.now();
      const first = Math.floor(Math.max(since, now - keptMs) / slotMs) * slotMs;
      const count = Math.floor((now - first) / slotMs) + 1;
      const moments = Array.from({ length: count }, (_, i) => first + i * slotMs);
      const days = await Promise.all([...new Set(moments.map(dayOf))].map(readDay));
      return moments.map((at) => ({ at, values: days.find((day) => day.has(at))?.get(at) ?? {} }));
    },
  };
}

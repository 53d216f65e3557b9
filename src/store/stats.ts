import { keys } from './keys.js';
import { loadScript, type RedisClient } from './script.js';

/** What happened in five minutes. */
export interface StatsSlot {
  /** When it begins, ms since 1970. */
  at: number;
  /** By name, what was counted and the most that was seen. */
  values: Record<string, number>;
}

/** What all processes counted, for the overview page: an operator's view, not the books. */
export interface Stats {
  /** Adds to the counts of the running five minutes, and notes what is seen now if it is more than before. */
  add(counts: Record<string, number>, seen?: Record<string, number>): Promise<void>;
  /** Slot by slot from `since` until now, those in which nothing happened too; at most 8 days are kept. */
  read(since: number): Promise<StatsSlot[]>;
}

export const statsSlotMs = 300_000;
const dayMs = 86_400_000;
const keptMs = 8 * dayMs;

const dayOf = (at: number) => new Date(at).toISOString().slice(0, 10);

/** Statistics in Redis: a hash a day. */
export function createStats(redis: RedisClient): Stats {
  const addScript = loadScript(redis, 'gateway/add-stats');
  const readDay = async (day: string) => {
    const slots = new Map<number, Record<string, number>>();
    for (const [field, value] of Object.entries(await redis.hgetall(keys.stats(day)))) {
      const [slot = '', name = ''] = field.split(/:(.*)/s);
      const at = Date.parse(day) + Number(slot) * statsSlotMs;
      slots.set(at, { ...slots.get(at), [name]: Number(value) });
    }
    return slots;
  };
  return {
    add: async (counts, seen = {}) => {
      const now = Date.now();
      const slot = Math.floor((now % dayMs) / statsSlotMs);
      const args = [`${slot}:`, JSON.stringify(counts), JSON.stringify(seen), keptMs];
      await addScript([keys.stats(dayOf(now))], args);
    },
    read: async (since) => {
      const now = Date.now();
      const first = Math.floor(Math.max(since, now - keptMs) / statsSlotMs) * statsSlotMs;
      const count = Math.floor((now - first) / statsSlotMs) + 1;
      const moments = Array.from({ length: count }, (_, i) => first + i * statsSlotMs);
      const days = await Promise.all([...new Set(moments.map(dayOf))].map(readDay));
      return moments.map((at) => ({ at, values: days.find((day) => day.has(at))?.get(at) ?? {} }));
    },
  };
}

import { keys } from './keys.js';
import { loadScript, type RedisClient } from './script.js';

const minuteMs = 60_000;
const dayMs = 1_440 * minuteMs;

/** What an app's statistics are grouped by, and the groups of a day; further ones are counted as `other`. */
const mostGroups = { country: 250, purpose: 50, template: 50 } as const;
const dimensions = Object.keys(mostGroups) as StatsDimension[];

/** How finely statistics are kept, and for how long. */
export const statsSteps = {
  '5m': { ms: 5 * minuteMs, keptMs: 2 * dayMs },
  '1h': { ms: 60 * minuteMs, keptMs: 35 * dayMs },
} as const;
const mostPerCall = 500;
const stepNames = Object.keys(statsSteps) as StatsStep[];

type StatsDimension = keyof typeof mostGroups;
export type StatsStep = keyof typeof statsSteps;

/** Counts of a group in a step. */
export interface AppStats {
  /** Start of the step, ms since 1970. */
  at: number;
  /** Empty: OTPs without one, and requests that were refused before it was known. */
  group: string;
  /** By name, as the metrics have it, such as `sent` and `refused:phone_locked`. */
  counts: Record<string, number>;
}

interface Addition {
  by: StatsDimension;
  group: string;
  /** Start of the five minutes. */
  at: number;
  counts: Record<string, number>;
}

const startOfDay = (at: number) => at - (at % dayMs);
const dayOf = (at: number) => new Date(at).toISOString().slice(0, 10);

/** Statistics of each app by country, purpose and template, from the counts of all processes. */
export function createAppStats(redis: RedisClient) {
  const addScript = loadScript(redis, 'gateway/add-app-stats');
  const addOfApp = async (app: string, additions: Iterable<Addition>) => {
    const known = new Map<string, { index: number; keptMs: number }>();
    const indexOf = (key: string, keptMs: number) => {
      const found = known.get(key) ?? { index: known.size + 1, keptMs };
      known.set(key, found);
      return found.index;
    };
    const items = Array.from(additions, ({ by, group, at, counts }) => ({
      group,
      counts,
      most: mostGroups[by],
      // A day is kept until its last step is over and kept long enough.
      keys: stepNames.map((step) =>
        indexOf(keys.appStats(app, by, { step, day: dayOf(at) }), statsSteps[step].keptMs + dayMs),
      ),
      steps: stepNames.map((step) => Math.floor((at % dayMs) / statsSteps[step].ms)),
    }));
    const kept = [...known.values()].map(({ keptMs }) => keptMs);
    await addScript([...known.keys()], [...kept, JSON.stringify(items)]);
  };
  return {
    /** Adds the counts of a tally (`Metrics.appTally`), in one call for each app. Resolves with those not written. */
    add: async (tally: Record<string, number>): Promise<Record<string, number>> => {
      const byApp = Map.groupBy(Object.entries(tally), ([name]) => name.split('\n')[1] ?? '');
      const failed: [string, number][] = [];
      for (const [app, counts] of byApp) {
        // More only after an outage: Redis serves no other client during a call.
        for (let from = 0; from < counts.length; from += mostPerCall) {
          const some = counts.slice(from, from + mostPerCall);
          await addOfApp(app, additionsOf(some)).catch(() => failed.push(...some));
        }
      }
      return Object.fromEntries(failed);
    },
    /** The counts of an app in steps that start in a span; groups without any are left out. */
    read: async (
      app: string,
      by: StatsDimension,
      { step, since, until }: { step: StatsStep; since: number; until: number },
    ): Promise<AppStats[]> => {
      const found: AppStats[] = [];
      // One day after the other, so that other requests are served between them.
      for (let day = startOfDay(since); day < until; day += dayMs) {
        const hash = await redis.hgetall(keys.appStats(app, by, { step, day: dayOf(day) }));
        for (const [field, text] of Object.entries(hash)) {
          const [index = '', group = ''] = field.split(':');
          const at = day + Number(index) * statsSteps[step].ms;
          // Other fields name the groups that are known.
          if (at >= since && at < until) found.push({ at, group, counts: JSON.parse(text) });
        }
      }
      return found;
    },
  };
}

/** The counts of a tally for each dimension, by its groups and five minutes. */
function additionsOf(tally: readonly [string, number][]): Iterable<Addition> {
  const found = new Map<string, Addition>();
  for (const [name, count] of tally) {
    const [at = '', , country = '', purpose = '', template = '', counted = ''] = name.split('\n');
    const groups = { country, purpose, template };
    for (const by of dimensions) {
      const place = `${by}\n${at}\n${groups[by]}`;
      const addition = found.get(place) ?? { by, group: groups[by], at: Number(at), counts: {} };
      addition.counts[counted] = (addition.counts[counted] ?? 0) + count;
      found.set(place, addition);
    }
  }
  return found.values();
}

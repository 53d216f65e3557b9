import { countLabels, mostAppGroups, slotMs } from '../lib/tally.js';
import { dayMs, dayOf, hourMs } from '../lib/time.js';
import { keys } from './keys.js';
import { loadScript, type RedisClient } from './script.js';

/** What an app's statistics are grouped by, and the groups of a day; further ones are counted as `other`. */
const mostGroups = { status: 1, country: 250, purpose: mostAppGroups, template: mostAppGroups } as const;
const dimensions = Object.keys(mostGroups) as StatsDimension[];

/** Steps of statistics: the kept step that each is read from, and for how long. */
export const statsSteps = {
  '5m': { ms: slotMs, kept: '5m', keptMs: 2 * dayMs },
  '1h': { ms: hourMs, kept: '1h', keptMs: 35 * dayMs },
  '1d': { ms: dayMs, kept: '1h', keptMs: 35 * dayMs },
} as const;
const keptSteps = ['5m', '1h'] as const;
const mostPerCall = 500;

type StatsDimension = keyof typeof mostGroups;

/** Counts of a group in a step. */
export interface AppStats {
  /** Start of the step, ms since 1970. */
  at: number;
  /** Empty: OTPs without one, and requests that were rejected before it was known. */
  group: string;
  /** By name, as the metrics have it, such as `sent` and `rejected:recipient_locked`. */
  counts: Record<string, number>;
}

/** Counts of a slot to add. */
interface Addition extends AppStats {
  by: StatsDimension;
}

const startOfDay = (at: number) => at - (at % dayMs);

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
      keys: keptSteps.map((step) =>
        indexOf(keys.appStats(app, by, { step, day: dayOf(at) }), statsSteps[step].keptMs + dayMs),
      ),
      steps: keptSteps.map((step) => Math.floor((at % dayMs) / statsSteps[step].ms)),
    }));
    const kept = [...known.values()].map(({ keptMs }) => keptMs);
    await addScript([...known.keys()], [...kept, JSON.stringify(items)]);
  };
  return {
    /** Adds the counts of a tally (`Metrics.appTally`), in one call for each app. Resolves with those not written. */
    add: async (tally: Record<string, number>): Promise<Record<string, number>> => {
      const byApp = Map.groupBy(Object.entries(tally), ([text]) => countLabels(text).app);
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
    /**
     * The counts of an app in a span, in steps from its start, by time and group; `status` is a single group. Groups
     * without any are left out. Stops after `most` of these sums.
     */
    read: async (
      app: string,
      by: StatsDimension,
      {
        step,
        since,
        until,
        most = Number.POSITIVE_INFINITY,
      }: { step: keyof typeof statsSteps; since: number; until: number; most?: number },
    ): Promise<AppStats[]> => {
      const { ms, kept } = statsSteps[step];
      const sums = new Map<string, AppStats>();
      // One day after the other, so that other requests are served between them.
      for (let day = startOfDay(since); day < until; day += dayMs) {
        const key = keys.appStats(app, by, { step: kept, day: dayOf(day) });
        for (const [field, text] of Object.entries(await redis.hgetall(key))) {
          const [index = '', group = ''] = field.split(':');
          const at = day + Number(index) * statsSteps[kept].ms;
          // Other fields name the groups that are known.
          if (!(at >= since && at < until)) continue;
          const start = at - ((at - since) % ms);
          const sum = sums.get(`${start}:${group}`) ?? { at: start, group, counts: {} };
          addTo(sum.counts, JSON.parse(text));
          sums.set(`${start}:${group}`, sum);
          if (sums.size === most) return sorted(sums);
        }
      }
      return sorted(sums);
    },
  };
}

const sorted = (sums: Map<string, AppStats>) =>
  [...sums.values()].sort((a, b) => a.at - b.at || (a.group < b.group ? -1 : 1));

/** Without `Object.entries`: the hours of 35 days and 10 countries take 12 ms instead of 20 (measured). */
function addTo(sums: Record<string, number>, counts: Record<string, number>): void {
  for (const name in counts) sums[name] = (sums[name] ?? 0) + (counts[name] ?? 0);
}

/** The counts of a tally for each dimension, by its groups and slots. */
function additionsOf(tally: readonly [string, number][]): Iterable<Addition> {
  const found = new Map<string, Addition>();
  for (const [text, count] of tally) {
    const { at, name, ...labels } = countLabels(text);
    const groups = { ...labels, status: '' };
    for (const by of dimensions) {
      const place = `${by}\n${at}\n${groups[by]}`;
      const addition = found.get(place) ?? { by, group: groups[by], at, counts: {} };
      addTo(addition.counts, { [name]: count });
      found.set(place, addition);
    }
  }
  return found.values();
}

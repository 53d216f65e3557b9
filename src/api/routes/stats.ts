import { z } from 'zod';
import { type AppStats, type StatsStep, statsSteps } from '../../store/app-stats.js';
import type { ApiDependencies } from '../dependencies.js';
import { invalid } from '../http/problem.js';
import { instantParam } from '../http/request.js';
import { defineRoute, type Route } from '../http/route.js';
import { isoTime } from './otps.js';
import { statsSchema } from './schemas.js';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Steps of an answer, and the kept steps that they are made of. */
const steps = {
  '5m': { ms: 300_000, kept: '5m' },
  '1h': { ms: hourMs, kept: '1h' },
  '1d': { ms: dayMs, kept: '1h' },
} as const satisfies Record<string, { ms: number; kept: StatsStep }>;

/** Rows of an answer: half a megabyte. */
const mostRows = 2_000;

const querySchema = z.strictObject({
  by: z
    .enum(['status', 'country', 'purpose', 'template'])
    .default('status')
    .describe('Groups of the rows. `status`: no groups, only the counts by status of all OTPs of the app.'),
  since: instantParam
    .optional()
    .describe(
      'Start, inclusive, at most 35 days ago, with steps of 5 minutes 2 days. Rounded down to 5 minutes or the hour; days ' +
        'count from it, so `2025-04-01T00:00:00+08:00` makes them days of Malaysia. Default: 24 hours before `until`.',
    ),
  until: instantParam.optional().describe('End, exclusive. Default, and in the future: now.'),
  step: z.enum(['5m', '1h', '1d']).default('1h').describe('Time that a row covers.'),
});

/** Read the app's own statistics. */
export function statsRoute({ store }: ApiDependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/v1/stats',
    operationId: 'getStats',
    tag: 'Statistics',
    summary: "Read the app's statistics",
    description:
      'Counts by group and step, a few seconds late. `sent`, `credits` and `verified` belong to the time of the send, so that ' +
      '`conversion` is that of the OTPs sent in a step: it rises while their codes are valid. The other counts ' +
      'belong to the time of the event. OTPs to test numbers count as accepted or refused alone. A day has at most 50 purposes and 50 templates; ' +
      'OTPs with further ones are in the group `other`.',
    query: querySchema,
    answers: {
      200: {
        description: 'At most 2,000 rows by time and group; those without counts are left out.',
        body: {
          name: 'Stats',
          schema: statsSchema,
          example: {
            by: 'country',
            step: '1h',
            since: '2025-04-01T08:00:00.000Z',
            until: '2025-04-01T10:00:00.000Z',
            rows: [
              {
                start: '2025-04-01T08:00:00.000Z',
                group: 'MY',
                accepted: 412,
                refused: { phone_rate_limited: 3 },
                sent: 410,
                verified: 369,
                failed: { invalid_number: 1 },
                unknown: 1,
                credits: 410,
                conversion: 0.9,
                medianVerifySeconds: 18.4,
              },
            ],
          },
        },
      },
    },
    problems: ['queue_unavailable'],
    handle: async ({ app, query }) => {
      const { by, step } = query;
      const span = spanOf(query);
      const found = await store.appStats.read(app, by === 'status' ? 'country' : by, {
        step: steps[step].kept,
        ...span,
      });
      const counted = by === 'status' ? found.map((one) => ({ ...one, group: '' })) : found;
      const rows = sumsOf(counted, { ...span, stepMs: steps[step].ms });
      if (rows.length > mostRows) {
        throw invalid(
          'step',
          `makes ${rows.length} rows of at most ${mostRows}; use a longer one or a shorter span`,
        );
      }
      const { since, until } = span;
      return {
        status: 200,
        body: { by, step, since: isoTime(since), until: isoTime(until), rows: rows.map(rowOf) },
      };
    },
  });
}

/** The time asked for; throws `invalid_request` for one that is empty or no longer kept. */
function spanOf({ since, until, step }: z.output<typeof querySchema>) {
  const now = Date.now();
  const { ms, keptMs } = statsSteps[steps[step].kept];
  const end = Math.min(now, until ?? now);
  const asked = since ?? end - dayMs;
  const start = asked - (asked % ms);
  if (start < now - keptMs - ms) {
    throw invalid('since', `must be at most ${keptMs / dayMs} days ago with step=${step}`);
  }
  if (start >= end) throw invalid('since', 'must be before until, and in the past');
  return { since: start, until: end };
}

/** Adds up counts by group and step, in the order of time and group. */
export function sumsOf(
  found: readonly AppStats[],
  { since, stepMs }: { since: number; stepMs: number },
): AppStats[] {
  const sums = new Map<string, AppStats>();
  for (const { at, group, counts } of found) {
    const start = at - ((at - since) % stepMs);
    const place = `${start}:${group}`;
    const sum = sums.get(place) ?? { at: start, group, counts: {} };
    for (const [name, count] of Object.entries(counts)) sum.counts[name] = (sum.counts[name] ?? 0) + count;
    sums.set(place, sum);
  }
  return [...sums.values()].sort((a, b) => a.at - b.at || (a.group < b.group ? -1 : 1));
}

function rowOf({ at, group, counts }: AppStats) {
  const { accepted = 0, sent = 0, verified = 0, unknown = 0, credits = 0 } = counts;
  return {
    start: isoTime(at),
    group: group === '' ? null : group,
    accepted,
    refused: membersOf(counts, 'refused'),
    sent,
    verified,
    failed: membersOf(counts, 'failed'),
    unknown,
    credits,
    // A killed process may have counted no send.
    conversion: sent === 0 ? null : Math.round(Math.min(1, verified / sent) * 10_000) / 10_000,
    medianVerifySeconds: medianOf(membersOf(counts, 'verified_in')),
  };
}

/** The counts named `<name>:…`. */
function membersOf(counts: Record<string, number>, name: string): Record<string, number> {
  const prefix = `${name}:`;
  const found = Object.entries(counts).filter(([each]) => each.startsWith(prefix));
  return Object.fromEntries(found.map(([each, count]) => [each.slice(prefix.length), count]));
}

/** The median of counts by bucket, such as `15-20`, as if those of a bucket were spread evenly; null without any. */
function medianOf(buckets: Record<string, number>): number | null {
  const sorted = Object.entries(buckets)
    .map(([bucket, count]) => ({ count, bounds: bucket.split('-').map(Number) }))
    .sort(({ bounds: [a = 0] }, { bounds: [b = 0] }) => a - b);
  const half = sorted.reduce((sum, { count }) => sum + count, 0) / 2;
  let before = 0;
  for (const { count, bounds } of sorted) {
    const [low = 0, high = 0] = bounds;
    if (before + count >= half) return Math.round((low + ((half - before) / count) * (high - low)) * 10) / 10;
    before += count;
  }
  return null;
}

import { z } from 'zod';
import { createTurns } from '../../lib/memoize.js';
import { dayMs, isoTime } from '../../lib/time.js';
import { type AppStats, statsSteps } from '../../store/app-stats.js';
import type { ApiDependencies } from '../dependencies.js';
import { invalid } from '../http/problem.js';
import { instantParam } from '../http/request.js';
import { defineRoute, type Route } from '../http/route.js';
import { statsSchema } from './schemas.js';

/** Rows of an answer: half a megabyte. */
const mostRows = 2_000;

const querySchema = z.strictObject({
  by: statsSchema.shape.by
    .default('status')
    .describe('Groups of the rows. `status` (default): one row per step, not grouped.'),
  since: instantParam
    .optional()
    .describe(
      'Start, inclusive, at most 35 days ago, with steps of 5 minutes 2 days. Rounded down to 5 minutes or the hour; days ' +
        'count from it, so `2025-04-01T00:00:00+08:00` makes them days of Malaysia. Default: 24 hours before `until`.',
    ),
  until: instantParam
    .optional()
    .describe(
      'End, exclusive, rounded down as `since` is. Default, and for a later time than the start of this step: now.',
    ),
  step: statsSchema.shape.step.default('1h').describe('Time that a row covers.'),
});

/** Read the app's own statistics. */
export function statsRoute({ store }: ApiDependencies): Route {
  // A large read takes memory: ten at a time of one app took 200 MB (measured).
  const inTurn = createTurns();
  return defineRoute({
    method: 'get',
    path: '/v1/stats',
    operationId: 'getStats',
    tag: 'Statistics',
    summary: "Read the app's statistics",
    description:
      'Counts by group and step, a few seconds late. `sent`, `credits` and `verified` belong to the time of the send, so that ' +
      '`conversion` is that of the OTPs sent in a step: it rises while their codes are valid. The other counts ' +
      'belong to the time of the event. OTPs to test numbers count as accepted or rejected alone. A day has at most 50 purposes and 50 templates; ' +
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
                rejected: { recipient_rate_limited: 3 },
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
      const { since, until } = spanOf(query);
      const reading = { step, since, until, most: mostRows + 1 };
      const rows = await inTurn(app, () => store.appStats.read(app, by, reading));
      if (rows.length > mostRows) {
        const most = mostRows.toLocaleString('en');
        throw invalid('step', `gives more than ${most} rows: use a longer step or a shorter time`);
      }
      const span = { since: isoTime(since), until: isoTime(until) };
      return { status: 200, body: { by, step, ...span, rows: rows.map(rowOf) } };
    },
  });
}

/** The time asked for; throws `invalid_request` for one that is empty or no longer kept. */
function spanOf({ since, until, step }: z.output<typeof querySchema>) {
  const now = Date.now();
  const { kept, keptMs } = statsSteps[step];
  const { ms } = statsSteps[kept];
  const end = until === undefined || until > now - (now % ms) ? now : until - (until % ms);
  const asked = since ?? end - dayMs;
  const start = asked - (asked % ms);
  if (start < now - keptMs - ms) {
    const name = since === undefined ? 'until' : 'since';
    throw invalid(name, `must be at most ${keptMs / dayMs} days ago with step=${step}`);
  }
  if (start >= end) throw invalid('since', 'must be before until, and in the past');
  return { since: start, until: end };
}

function rowOf({ at, group, counts }: AppStats) {
  const { accepted = 0, sent = 0, verified = 0, unknown = 0, credits = 0 } = counts;
  return {
    start: isoTime(at),
    group: group === '' ? null : group,
    accepted,
    rejected: membersOf(counts, 'rejected'),
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

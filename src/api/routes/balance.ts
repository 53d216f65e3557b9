import { z } from 'zod';
import type { BalanceSnapshot } from '../../store/balance.js';
import { balanceExample, historyExample } from '../docs/examples.js';
import { ApiProblem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';
import { type BalanceRefreshDependencies, createBalanceRefresh } from './balance-refresh.js';
import { isoTime } from './otp-view.js';
import { balanceSchema, historySchema } from './schemas.js';

const dayMs = 86_400_000;
const tag = 'Balance';

const instant = z.iso.datetime({
  offset: true,
  error: 'must be an ISO 8601 date and time with Z or an offset',
});

const historyQuery = z.strictObject({
  since: instant.optional().describe('From then on. Default: as far back as snapshots are kept, 90 days.'),
  until: instant.optional().describe('Before then. Default: now.'),
  limit: z
    .string()
    .regex(/^\d{1,4}$/, 'must be a whole number from 1 to 1000')
    .transform(Number)
    .pipe(z.int().min(1).max(1_000))
    .default(100),
});

/** The account's balance, from snapshots. */
export function balanceRoutes(dependencies: BalanceRefreshDependencies): Route[] {
  return [getBalance(dependencies), getHistory(dependencies)];
}

function getBalance(dependencies: BalanceRefreshDependencies): Route {
  const { store } = dependencies;
  const refresh = createBalanceRefresh(dependencies);
  return defineRoute({
    method: 'get',
    path: '/v1/balance',
    operationId: 'getBalance',
    tag,
    summary: "Read the iSMS account's balance",
    description: 'From the latest snapshot, with what is used per day and when that runs out.',
    query: z.strictObject({
      refresh: z
        .enum(['true', 'false'])
        .optional()
        .describe('`true` asks iSMS now: one call for all who ask at once, at most one in 10 s.'),
    }),
    answers: {
      200: {
        description: 'The balance.',
        body: { name: 'Balance', schema: balanceSchema, example: balanceExample },
      },
    },
    problems: ['balance_unavailable', 'queue_unavailable'],
    handle: async ({ query }) => {
      const snapshot = query.refresh === 'true' ? await refresh() : await store.balance.latest();
      if (!snapshot) throw new ApiProblem('balance_unavailable', { reason: 'no_snapshot' });
      const outlook = await store.balance.outlook();
      return {
        status: 200,
        body: {
          ...balanceView(snapshot),
          ...store.balance.alarms(snapshot),
          ...outlook,
        },
      };
    },
  });
}

function balanceView({ credits, expiresOn, at }: BalanceSnapshot) {
  return { credits, expiresOn, checkedAt: isoTime(at) };
}

function getHistory({ store }: BalanceRefreshDependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/v1/balance/history',
    operationId: 'getBalanceHistory',
    tag,
    summary: 'Read past balances',
    description: 'Snapshots, the newest first.',
    query: historyQuery,
    answers: {
      200: {
        description: 'A page of snapshots.',
        body: { name: 'BalanceHistory', schema: historySchema, example: historyExample },
      },
    },
    problems: ['queue_unavailable'],
    handle: async ({ query: { limit, ...query } }) => {
      const since = query.since === undefined ? 0 : Date.parse(query.since);
      const until = query.until === undefined ? Date.now() + dayMs : Date.parse(query.until);
      const found = await store.balance.history({ since, until, limit: limit + 1 });
      const page = found.slice(0, limit);
      const oldest = page.at(-1);
      const snapshots = page.map(({ at, ...balance }) => ({ at: isoTime(at), ...balance }));
      const next = oldest && found.length > limit ? isoTime(oldest.at) : null;
      return { status: 200, body: { snapshots, next } };
    },
  });
}

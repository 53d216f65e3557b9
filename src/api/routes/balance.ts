import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { shared } from '../../lib/memoize.js';
import { dayMs, isoTime } from '../../lib/time.js';
import { alarmMessage } from '../../otp/balance.js';
import type { BalanceSnapshot } from '../../store/balance.js';
import type { Store } from '../../store/store.js';
import type { ApiDependencies } from '../dependencies.js';
import { ApiProblem } from '../http/problem.js';
import { instantParam, limitParam } from '../http/request.js';
import { defineRoute, type Route } from '../http/route.js';
import { balanceSchema, historySchema } from './schemas.js';

const tag = 'Balance';

const historyQuery = z.strictObject({
  since: instantParam
    .optional()
    .describe('Start, inclusive. Default: the oldest snapshot; they are kept for 90 days.'),
  until: instantParam.optional().describe('End, exclusive. Default: now.'),
  limit: limitParam(1_000, 100).describe('Snapshots on a page, at most 1,000.'),
});

/** Read the account's balance from snapshots. */
export function balanceRoutes(dependencies: ApiDependencies): Route[] {
  return [getBalance(dependencies), getHistory(dependencies)];
}

function getBalance(dependencies: ApiDependencies): Route {
  const { store } = dependencies;
  const refresh = createBalanceRefresh(dependencies);
  return defineRoute({
    method: 'get',
    path: '/v1/balance',
    operationId: 'getBalance',
    tag,
    summary: "Read the iSMS account's balance",
    description:
      'The latest snapshot, with the daily consumption and the day on which the credits run out at that rate.',
    query: z.strictObject({
      refresh: z
        .enum(['true', 'false'])
        .optional()
        .describe(
          '`true` asks iSMS now; concurrent requests share one call, and there is at most one call in 10 s.',
        ),
    }),
    answers: {
      200: {
        description: 'The balance.',
        body: {
          name: 'Balance',
          schema: balanceSchema,
          example: {
            credits: 81,
            expiresOn: '2025-04-29',
            checkedAt: '2025-04-01T08:00:00.000Z',
            low: true,
            expiring: false,
            creditsPerDay: 12.5,
            runsOutOn: '2025-04-07',
          },
        },
      },
    },
    problems: ['balance_unavailable', 'queue_unavailable'],
    handle: async ({ query }) => {
      const snapshot = query.refresh === 'true' ? await refresh() : await store.balance.latest();
      if (!snapshot) throw new ApiProblem('balance_unavailable', { reason: 'no_snapshot' });
      const outlook = await store.balance.outlook();
      const { credits, expiresOn, at } = snapshot;
      const read = { credits, expiresOn, checkedAt: isoTime(at) };
      return { status: 200, body: { ...read, ...store.balance.alarms(snapshot), ...outlook } };
    },
  });
}

function getHistory({ store }: ApiDependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/v1/balance/history',
    operationId: 'getBalanceHistory',
    tag,
    summary: 'Read past balances',
    description: 'Snapshots, newest first.',
    query: historyQuery,
    answers: {
      200: {
        description: 'A page of snapshots.',
        body: {
          name: 'BalanceHistory',
          schema: historySchema,
          example: {
            snapshots: [{ at: '2025-04-01T08:00:00.000Z', credits: 81, expiresOn: '2025-04-29' }],
            next: null,
          },
        },
      },
    },
    problems: ['queue_unavailable'],
    handle: async ({ query: { limit, since = 0, until = Date.now() + dayMs } }) => {
      const found = await store.balance.history({ since, until, limit: limit + 1 });
      const page = found.slice(0, limit);
      const oldest = page.at(-1);
      const snapshots = page.map(({ at, ...balance }) => ({ at: isoTime(at), ...balance }));
      const next = oldest && found.length > limit ? isoTime(oldest.at) : null;
      return { status: 200, body: { snapshots, next } };
    },
  });
}

/** All processes together ask iSMS at most once in this time. */
const periodMs = 10_000;
/** How long the other processes wait for the snapshot of the one that asks. */
const waitMs = 3_000;
const pollEveryMs = 250;

/**
 * Reads the balance from iSMS and records it; concurrent requests share one call. Within 10 s of another process's call,
 * resolves with that call's snapshot, or the latest. Throws `balance_unavailable` if iSMS gives no balance.
 */
function createBalanceRefresh(dependencies: ApiDependencies) {
  const { store } = dependencies;
  return shared(async (): Promise<BalanceSnapshot | null> => {
    const mine = await store.acquireLease('balance', periodMs);
    return mine ? await ask(dependencies) : await waitForOther(store.balance);
  });
}

async function ask({ store, provider, logger }: ApiDependencies) {
  const outcome = await provider.balance();
  if (outcome.kind !== 'known') {
    const reason = outcome.kind === 'account_trouble' ? outcome.trouble : outcome.reason;
    throw new ApiProblem('balance_unavailable', { reason });
  }
  const { credits, expiresOn } = outcome;
  const { snapshot, switched } = await store.balance.record({ credits, expiresOn });
  for (const { alarm, on } of switched) {
    const fields = { event: `balance.${alarm}`, on, credits, expiresOn };
    if (on) logger.warn(fields, alarmMessage(alarm, on));
    else logger.info(fields, alarmMessage(alarm, on));
  }
  return snapshot;
}

/** The snapshot of the process that holds the lease, once recorded; a clock difference only lengthens the wait. */
async function waitForOther(balance: Store['balance']): Promise<BalanceSnapshot | null> {
  const until = performance.now() + waitMs;
  for (;;) {
    const latest = await balance.latest();
    const fresh = latest !== null && Date.now() - latest.at < periodMs;
    if (fresh || performance.now() >= until) return latest;
    await sleep(pollEveryMs);
  }
}

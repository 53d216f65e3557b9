import { z } from 'zod';
import { cachedFor } from '../../lib/memoize.js';
import { withTimeout } from '../../lib/with-timeout.js';
import { redisTrouble } from '../../producer/redis-trouble.js';
import type { ApiDependencies } from '../dependencies.js';
import { ApiProblem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';

const probeDeadlineMs = 500;
/** Unauthenticated requests share a probe, so that many cost Redis as little as one. */
const probeEveryMs = 500;
const tag = 'Health';

const healthSchema = z
  .object({ status: z.literal('ok').describe('Always `ok`.') })
  .describe('A probe that succeeds.');
const ok = { name: 'Health', schema: healthSchema, example: { status: 'ok' } };

/** Probes for orchestrators and load balancers. */
export function healthRoutes({ store, isEnding }: ApiDependencies): Route[] {
  const probe = cachedFor(probeEveryMs, () =>
    withTimeout(Promise.all([store.evictionPolicy(), store.probe()]), probeDeadlineMs),
  );
  const live = defineRoute({
    method: 'get',
    path: '/livez',
    operationId: 'getLiveness',
    tag,
    summary: 'Liveness probe',
    description:
      '200 while the process runs, also without Redis: restarting the process would not fix Redis.',
    answers: { 200: { description: 'The process is up.', body: ok } },
    problems: ['not_live'],
    handle: async () => {
      if (isEnding()) throw new ApiProblem('not_live');
      return { status: 200, body: { status: 'ok' } };
    },
  });
  const ready = defineRoute({
    method: 'get',
    path: '/readyz',
    operationId: 'getReadiness',
    tag,
    summary: 'Readiness probe',
    description:
      '200 if Redis takes a write within 500 ms and evicts no keys; requests within 500 ms share one write.',
    answers: { 200: { description: 'Ready for requests.', body: ok } },
    problems: ['not_ready'],
    handle: async () => {
      const [policy] = await probe().catch((error: unknown) => {
        throw new ApiProblem('not_ready', { reason: redisTrouble(error) ?? 'unknown' });
      });
      if (policy !== null) {
        const detail = `Redis evicts keys when it is full (maxmemory-policy ${policy}). Set maxmemory-policy to noeviction.`;
        throw new ApiProblem('not_ready', { reason: 'redis_evicts', detail });
      }
      return { status: 200, body: { status: 'ok' } };
    },
  });
  return [live, ready];
}

import { z } from 'zod';
import { withTimeout } from '../../lib/with-timeout.js';
import { redisTrouble } from '../../producer/redis-trouble.js';
import type { Store } from '../../store/store.js';
import { ApiProblem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';

const probeDeadlineMs = 500;
/** Anyone may ask, so that many who ask cost Redis no more than one. */
const probeEveryMs = 500;
const tag = 'Health';

const healthSchema = z.object({ status: z.literal('ok') });
const ok = { name: 'Health', schema: healthSchema, example: { status: 'ok' } };

export interface HealthDependencies {
  store: Pick<Store, 'probe' | 'evictionPolicy'>;
  /** True once the process ends, or has to be started again. */
  isEnding(): boolean;
}

/** What orchestrators and load balancers ask. */
export function healthRoutes({ store, isEnding }: HealthDependencies): Route[] {
  const probe = sharedFor(probeEveryMs, () =>
    withTimeout(Promise.all([store.evictionPolicy(), store.probe()]), probeDeadlineMs),
  );
  const live = defineRoute({
    method: 'get',
    path: '/livez',
    operationId: 'getLiveness',
    tag,
    summary: 'Is the process up?',
    description:
      '200 while the process runs, whatever Redis does: a restart of the process would not fix Redis.',
    answers: { 200: { description: 'It is.', body: ok } },
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
    summary: 'Can it take requests?',
    description:
      'True when Redis takes a write within 500 ms and evicts nothing; requests within 500 ms share one such write.',
    answers: { 200: { description: 'It can.', body: ok } },
    problems: ['not_ready'],
    handle: async () => {
      const [policy] = await probe().catch((error: unknown) => {
        throw new ApiProblem('not_ready', { reason: redisTrouble(error) ?? 'unknown' });
      });
      if (policy !== null) {
        const detail = `Redis evicts keys when it is full (maxmemory-policy ${policy}): set noeviction.`;
        throw new ApiProblem('not_ready', { reason: 'redis_evicts', detail });
      }
      return { status: 200, body: { status: 'ok' } };
    },
  });
  return [live, ready];
}

/** Calls within `ms` of the last one that ran share its result. */
function sharedFor<T>(ms: number, run: () => Promise<T>): () => Promise<T> {
  let last: { at: number; result: Promise<T> } | null = null;
  return () => {
    if (!last || performance.now() - last.at >= ms) last = { at: performance.now(), result: run() };
    return last.result;
  };
}

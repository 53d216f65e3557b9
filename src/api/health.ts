import { z } from 'zod';
import { redisTrouble, timely } from '../producer/redis-trouble.js';
import type { Store } from '../store/store.js';
import { ApiProblem } from './problem.js';
import { defineRoute, type Route } from './route.js';

const probeDeadlineMs = 500;
const tag = 'Health';

const healthSchema = z.object({ status: z.literal('ok') });
const ok = { name: 'Health', schema: healthSchema, example: { status: 'ok' } };

/** What orchestrators and load balancers ask. */
export function healthRoutes(store: Pick<Store, 'probe'>): Route[] {
  const live = defineRoute({
    method: 'get',
    path: '/livez',
    operationId: 'getLiveness',
    tag,
    summary: 'Is the process up?',
    description: 'Answers while the process runs, whatever Redis does: a restart would not mend Redis.',
    answers: { 200: { description: 'It is.', body: ok } },
    problems: [],
    handle: async () => ({ status: 200, body: { status: 'ok' } }),
  });
  const ready = defineRoute({
    method: 'get',
    path: '/readyz',
    operationId: 'getReadiness',
    tag,
    summary: 'Can it take requests?',
    description: 'True when Redis takes a write within 500 ms.',
    answers: { 200: { description: 'It can.', body: ok } },
    problems: ['not_ready'],
    handle: async () => {
      await timely(store.probe(), probeDeadlineMs).catch((error: unknown) => {
        throw new ApiProblem('not_ready', { reason: redisTrouble(error) ?? 'unknown' });
      });
      return { status: 200, body: { status: 'ok' } };
    },
  });
  return [live, ready];
}

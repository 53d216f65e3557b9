import { type Request, type RequestHandler, Router } from 'express';
import { withTimeout } from '../../lib/with-timeout.js';
import { redisDeadlineMs } from '../../producer/redis-trouble.js';
import { ApiProblem, type ProblemFacts } from '../http/problem.js';
import { type ProblemCode, problems } from '../http/problems.js';

/** What is needed of a BullMQ queue to know how large an action would be. */
export interface CountedQueue {
  name: string;
  getJobCountByTypes(...states: JobState[]): Promise<number>;
}

const states = ['completed', 'failed', 'delayed', 'wait', 'waiting', 'active', 'prioritized'] as const;
type JobState = (typeof states)[number];

/** Redis says nothing for 2.9 s while 200,000 jobs are removed, and for 0.1 s while these are (measured). */
const mostJobs = 10_000;

/** Bull Board's routes that take Redis 20 ms at a time at most, however many jobs there are (measured). */
const harmless = [
  '/api/queues/pause',
  '/api/queues/resume',
  '/api/queues/:queue/pause',
  '/api/queues/:queue/resume',
  '/api/queues/:queue/retry/:state',
  '/api/queues/:queue/promote',
  '/api/queues/:queue/:job/retry',
  '/api/queues/:queue/:job/promote',
  '/api/queues/:queue/:job/clean',
];

/**
 * Lets through what changes nothing, and the changes that make sense for our jobs; everything else that Bull Board
 * could do is refused, also what a later version of it brings. To be asked in front of Bull Board.
 */
export function offeredActions(queues: readonly CountedQueue[]): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const countOf = counter(queues);
  router.use((req, _res, next) => next(isReading(req) ? 'router' : undefined));
  router.put(
    '/api/queues/:queue/empty',
    limited(countOf, () => ['wait', 'prioritized']),
  );
  router.put('/api/queues/:queue/clean/:state', limited(countOf, stateOf));
  router.put(harmless, leave);
  router.use(() => {
    throw refusal('action_not_offered');
  });
  return router;
}

const isReading = ({ method }: Request) => method === 'GET' || method === 'HEAD';

const leave: RequestHandler = (_req, _res, next) => next('router');

/** The state that a path names; none when BullMQ has no such state, and Redis would be asked for any key. */
function stateOf(req: Request): JobState[] {
  return states.filter((state) => state === req.params['state']);
}

function limited(
  countOf: (queue: unknown, concerned: JobState[]) => Promise<number>,
  concerned: (req: Request) => JobState[],
): RequestHandler {
  return async (req, _res, next) => {
    const ofStates = concerned(req);
    if (ofStates.length === 0) throw refusal('action_not_offered');
    if ((await countOf(req.params['queue'], ofStates)) > mostJobs) throw refusal('too_many_jobs');
    next('router');
  };
}

/** Jobs of a queue in some states; 0 for a queue that there is not, to which Bull Board answers. */
function counter(queues: readonly CountedQueue[]) {
  return async (name: unknown, concerned: JobState[]): Promise<number> => {
    const queue = queues.find((each) => each.name === name);
    return queue ? await withTimeout(queue.getJobCountByTypes(...concerned), redisDeadlineMs) : 0;
  };
}

/** A problem with the members besides from which Bull Board's page makes a message to the operator. */
function refusal(code: ProblemCode): ApiProblem {
  const { title, detail } = problems[code];
  const members: ProblemFacts['members'] = { error: title, message: detail };
  return new ApiProblem(code, { members });
}

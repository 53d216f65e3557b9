import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import type { Queue } from 'bullmq';
import { type Express, type Request, type RequestHandler, Router } from 'express';
import { withTimeout } from '../../lib/with-timeout.js';
import { redisDeadlineMs } from '../../producer/redis-trouble.js';
import type { BatchPayload } from '../../queues/batch.js';
import type { ApiDependencies } from '../dependencies.js';
import { ApiProblem } from '../http/problem.js';
import { type ProblemCode, problems } from '../http/problems.js';

const states = ['completed', 'failed', 'delayed', 'wait', 'waiting', 'active', 'prioritized'] as const;
type JobState = (typeof states)[number];

/** Redis counts in 64 bits; a page past all jobs is empty. */
const mostPages = 1_000_000;

/** Reading 200,000 jobs blocked Redis for 11 s (measured). */
const mostJobsPerPage = 100;

/** Removing 200,000 jobs blocks Redis for 2.9 s, removing these for 0.1 s (measured). */
const mostJobsRemoved = 10_000;

/** Routes of Bull Board that block Redis for 20 ms at most, at any number of jobs (measured). */
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

/** Bull Board on all queues, mounted at `basePath`; read-only without `actions`. */
export function bullBoard(
  basePath: string,
  actions: boolean,
  { sendOtpQueue, batchQueue, balanceQueue, webhookQueue }: ApiDependencies,
): Router {
  const others = [balanceQueue.queue, ...(webhookQueue ? [webhookQueue.queue] : [])];
  const queues = [...sendOtpQueue.queues, batchQueue.queue, ...others];
  const board = new ExpressAdapter();
  board.setBasePath(basePath);
  const options = { readOnlyMode: !actions };
  const linked = (displayText: string) => ({
    ...options,
    externalJobUrl: ({ data }: { data: { id: string } }) => ({ displayText, href: `/admin#${data.id}` }),
  });
  const [ofSends, ofOthers] = [['waiting-children'], ['waiting-children', 'prioritized']];
  const batches = adapterOf(batchQueue.queue, ofOthers, linked('Batch in the overview'));
  batches.setFormatter('name', ({ data }: { data: BatchPayload }) => `${data.name ?? 'Batch'} (${data.app})`);
  createBullBoard({
    queues: [
      ...sendOtpQueue.queues.map((queue) => adapterOf(queue, ofSends, linked('OTP in the overview'))),
      batches,
      ...others.map((queue) => adapterOf(queue, ofOthers, options)),
    ],
    serverAdapter: board,
    options: {
      uiConfig: {
        boardTitle: 'isms-otp-gateway',
        hideDocsLink: true,
        miscLinks: [{ text: 'Overview', url: '/admin' }],
      },
    },
  });
  board.setErrorHandler(answerError);
  const app = board.getRouter() as Express;
  app.disable('x-powered-by');
  const router = Router();
  router.use(noStore, waitForQueues(queues), capPaging, withoutForeignFonts);
  if (actions) router.use(offeredActions(queues));
  router.use(app);
  return router;
}

/** The adapter of a queue, without the tabs of states that its jobs never have. */
function adapterOf(
  queue: Queue,
  hidden: readonly string[],
  options: ConstructorParameters<typeof BullMQAdapter>[1],
): BullMQAdapter {
  const adapter = new BullMQAdapter(queue, options);
  const all = adapter.getStatuses();
  adapter.getStatuses = () => all.filter((status) => !hidden.includes(status));
  return adapter;
}

/** Answers in Bull Board's own shape. Its default handler exposes the error's text, and always answers 500. */
function answerError(error: Error) {
  const unreadable = error instanceof URIError || ('status' in error && error.status !== 500);
  return unreadable
    ? ({ status: 400, body: { error: { key: 'ERRORS.INVALID_REQUEST_BODY' } } } as const)
    : ({ status: 500, body: { error: { key: 'ERRORS.INTERNAL_SERVER_ERROR' } } } as const);
}

/** Without Redis, Bull Board would hang or answer 500; this answers 503. */
function waitForQueues(queues: readonly Queue[]): RequestHandler {
  return async (_req, _res, next) => {
    await withTimeout(Promise.all(queues.map((queue) => queue.isPaused())), redisDeadlineMs);
    next();
  };
}

/** Jobs name apps and masked numbers; scripts and styles may be cached. */
const noStore: RequestHandler = (req, res, next) => {
  if (!req.path.startsWith('/static/')) res.set('Cache-Control', 'no-store');
  next();
};

const capPaging: RequestHandler = (req, _res, next) => {
  const [path = '', query = ''] = req.url.split(/\?(.*)/s);
  const parameters = new URLSearchParams(query);
  const cap = (name: string, most: number) => {
    if (Number(parameters.get(name)) > most) parameters.set(name, String(most));
  };
  cap('jobsPerPage', mostJobsPerPage);
  cap('page', mostPages);
  req.url = query === '' ? req.url : `${path}?${parameters}`;
  next();
};

/** Bull Board's page loads a stylesheet of Google Fonts, without a setting to turn that off. */
const foreignFonts = /<link href="https:\/\/fonts\.googleapis\.com\/[^>]*>/;

const withoutForeignFonts: RequestHandler = (_req, res, next) => {
  const send = res.send.bind(res);
  res.send = (body: unknown) => send(typeof body === 'string' ? body.replace(foreignFonts, '') : body);
  next();
};

/** Passes reads and an allow-list of changes on to Bull Board; rejects everything else, future actions included. */
function offeredActions(queues: readonly Queue[]): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const leave: RequestHandler = (_req, _res, next) => next('router');
  router.use((req, _res, next) => next(['GET', 'HEAD'].includes(req.method) ? 'router' : undefined));
  router.put(
    '/api/queues/:queue/empty',
    limitRemoved(queues, () => ['wait', 'prioritized']),
  );
  router.put('/api/queues/:queue/clean/:state', limitRemoved(queues, stateOf));
  router.put(harmless, leave);
  router.use(() => {
    throw refusal('action_not_offered');
  });
  return router;
}

/** The state in a path; none when BullMQ has no such state, since it would read any key of that name. */
function stateOf(req: Request): JobState[] {
  return states.filter((state) => state === req.params['state']);
}

function limitRemoved(queues: readonly Queue[], removed: (req: Request) => JobState[]): RequestHandler {
  return async (req, _res, next) => {
    const ofStates = removed(req);
    if (ofStates.length === 0) throw refusal('action_not_offered');
    // Bull Board itself answers for an unknown queue.
    const queue = queues.find(({ name }) => name === req.params['queue']);
    const count = queue ? await withTimeout(queue.getJobCountByTypes(...ofStates), redisDeadlineMs) : 0;
    if (count > mostJobsRemoved) throw refusal('too_many_jobs');
    next('router');
  };
}

/** A problem that also has the members which Bull Board's page shows to the operator. */
function refusal(code: ProblemCode): ApiProblem {
  const { title, detail } = problems[code];
  return new ApiProblem(code, { members: { error: title, message: detail } });
}

import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import { type Express, type RequestHandler, Router } from 'express';
import { withTimeout } from '../../lib/with-timeout.js';
import { redisDeadlineMs } from '../../producer/redis-trouble.js';
import type { BalanceQueue } from '../../queues/balance.js';
import type { SendOtpQueue } from '../../queues/send-otp.js';
import type { WebhookQueue } from '../../queues/webhook.js';
import { offeredActions } from './bull-board-actions.js';

export interface BullBoardDependencies {
  sendOtpQueue: Pick<SendOtpQueue, 'queues'>;
  balanceQueue: Pick<BalanceQueue, 'queue'>;
  /** Null where there is no webhook. */
  webhookQueue: Pick<WebhookQueue, 'queue'> | null;
}

/** Redis counts in 64 bits; a page past all jobs is empty. */
const mostPages = 1_000_000;

/** Asking for 200,000 jobs took 11 s, and held Redis up as long (measured). */
const mostJobsPerPage = 100;

/** Bull Board on all queues, mounted at `basePath`; to look at and, without `actions`, not to touch. */
export function bullBoard(
  basePath: string,
  actions: boolean,
  { sendOtpQueue, balanceQueue, webhookQueue }: BullBoardDependencies,
): Router {
  const queues = [...sendOtpQueue.queues, balanceQueue.queue, ...(webhookQueue ? [webhookQueue.queue] : [])];
  const adapter = new ExpressAdapter();
  adapter.setBasePath(basePath);
  const options = { readOnlyMode: !actions };
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue, options)),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'isms-otp-gateway', hideDocsLink: true } },
  });
  adapter.setErrorHandler(answerError);
  const board = adapter.getRouter() as Express;
  board.disable('x-powered-by');
  const router = Router();
  router.use(keepNothing, waitForQueues(queues), capPaging, withoutForeignFonts);
  if (actions) router.use(offeredActions(queues));
  router.use(board);
  return router;
}

/** In Bull Board's own shape. Its own handler answers with the text of whatever was thrown, and always with 500. */
function answerError(error: Error) {
  const unreadable = error instanceof URIError || ('status' in error && error.status !== 500);
  return unreadable
    ? ({ status: 400, body: { error: { key: 'ERRORS.INVALID_REQUEST_BODY' } } } as const)
    : ({ status: 500, body: { error: { key: 'ERRORS.INTERNAL_SERVER_ERROR' } } } as const);
}

/**
 * A queue that has never met its Redis makes every question hang, and while Redis is away Bull Board knows no answer but
 * 500: so it is asked first.
 */
function waitForQueues(queues: readonly { isPaused(): Promise<boolean> }[]): RequestHandler {
  return async (_req, _res, next) => {
    await withTimeout(Promise.all(queues.map((queue) => queue.isPaused())), redisDeadlineMs);
    next();
  };
}

/** Jobs name apps and masked numbers; scripts and styles are the same for everybody. */
const keepNothing: RequestHandler = (req, res, next) => {
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

/** Bull Board's page names a stylesheet of Google Fonts, with no setting to leave it out. */
const foreignFonts = /<link href="https:\/\/fonts\.googleapis\.com\/[^>]*>/;

const withoutForeignFonts: RequestHandler = (_req, res, next) => {
  const send = res.send.bind(res);
  res.send = (body: unknown) => send(typeof body === 'string' ? body.replace(foreignFonts, '') : body);
  next();
};

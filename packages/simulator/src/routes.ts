import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { z } from 'zod';
import { renderInbox } from './inbox-page.js';
import { inboxStyle } from './inbox-style.js';
import type { Sms } from './outbox.js';
import { parseUpdate } from './settings.js';
import type { Simulation } from './simulation.js';
import type { SimulatorState } from './state.js';

const limit = z.coerce.number().int().min(1).max(1_000).optional();
const inboxQuery = z.object({ mobile: z.string().optional(), limit });
const pageQuery = z.object({
  mobile: z.string().optional(),
  limit,
  refresh: z.enum(['on', 'off']).optional(),
});
const statsQuery = z.object({ mobile: z.string().optional() });

const notJson = 'Send a JSON object, with content-type: application/json';

/** The pages and the machine-readable side of the simulator: everything but the vendor's endpoint. */
export function createRoutes(simulation: Simulation, state: SimulatorState): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(setHeaders);
  app.get('/', (req, res) => {
    const host = req.headers.host ?? 'localhost';
    res.type('html').send(renderInbox(simulation, state, { ...pageQuery.parse(req.query), host }));
  });
  app.get('/inbox.css', (_req, res) => void res.type('css').send(inboxStyle));
  app.get('/inbox.json', (req, res) => {
    res.json({ messages: state.inbox(inboxQuery.parse(req.query)).map(publish) });
  });
  app.delete('/inbox', (_req, res) => {
    state.clearInbox();
    res.status(204).end();
  });
  addStats(app, state);
  addSettings(app, state);
  app.use((_req, res) => void res.status(404).json({ error: 'There is nothing at this address' }));
  app.use(answerError);
  return app;
}

function addStats(app: Express, state: SimulatorState): void {
  app.get('/stats.json', (req, res) => {
    const { mobile } = statsQuery.parse(req.query);
    res.json(mobile === undefined ? state.stats() : { ...state.stats(), number: state.number(mobile) });
  });
  app.delete('/stats.json', (_req, res) => {
    state.clearStats();
    res.status(204).end();
  });
}

function addSettings(app: Express, state: SimulatorState): void {
  app.get('/settings', (_req, res) => void res.json(state.settings));
  app.post('/settings', express.json({ limit: '16kb' }), (req, res) => {
    const parsed = req.body === undefined ? { problems: [notJson] } : parseUpdate(req.body);
    if ('problems' in parsed) {
      res.status(400).json({ error: 'No setting was changed', problems: parsed.problems });
      return;
    }
    state.change(parsed.update);
    res.json(state.settings);
  });
}

function publish({ previousSmsId: _, smsId, sentAt, ...sms }: Sms) {
  return { smsId: String(smsId), ...sms, sentAt: new Date(sentAt).toISOString() };
}

const setHeaders: RequestHandler = (_req, res, next) => {
  res.set({
    'content-security-policy':
      "default-src 'none'; img-src data:; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  });
  next();
};

const answerError: ErrorRequestHandler = (error, _req, res, _next) => {
  if (error instanceof z.ZodError) {
    const problems = error.issues.map(({ path, message }) => [...path, message].join(': '));
    res.status(400).json({ error: 'The query is wrong', problems });
    return;
  }
  const status = typeof error?.status === 'number' ? error.status : 500;
  res.status(status).json({ error: status < 500 ? 'The request could not be read' : 'The simulator failed' });
};

import { type RequestHandler, Router } from 'express';
import helmet from 'helmet';
import type { ApiMetrics } from '../http/context.js';
import { contextOf } from '../http/context.js';
import { ApiProblem } from '../http/problem.js';
import { type AdminLogin, type AdminLoginDependencies, authenticateAdmin } from './admin-login.js';
import { type BullBoardDependencies, bullBoard } from './bull-board.js';
import { type OverviewPagesDependencies, overviewPages } from './overview.js';

const boardPath = '/admin/queues';
const metricsPath = '/metrics';

/** The admin's login, and whether the admin pages only show or also change. */
export interface Admin extends AdminLogin {
  actions: boolean;
}

/** What the admin pages show. */
export type AdminPagesDependencies = AdminLoginDependencies &
  BullBoardDependencies &
  OverviewPagesDependencies & { metrics: Pick<ApiMetrics, 'exposition'> };

/** The admin pages and this process's metrics, behind their own login. */
export function adminPages({ actions, ...login }: Admin, dependencies: AdminPagesDependencies): Router {
  const router = Router({ caseSensitive: true });
  const authenticated = authenticateAdmin(login, dependencies);
  router
    .route(metricsPath)
    .all(nameRoute(metricsPath), authenticated)
    .get(async (_req, res) => {
      const { contentType, text } = await dependencies.metrics.exposition();
      res.set('Content-Type', contentType).set('Cache-Control', 'no-store').send(text);
    })
    .all(() => {
      throw new ApiProblem('method_not_allowed', { headers: { Allow: 'GET, HEAD' } });
    });
  router.use('/admin', nameRoute('/admin'), authenticated, refuseCrossSite, pagePolicy);
  router.use(boardPath, nameRoute(boardPath), bullBoard(boardPath, actions, dependencies));
  router.use('/admin', overviewPages(actions, dependencies));
  return router;
}

/** Bull Board runs its own scripts and nobody else's; its styles are partly inline. */
const pagePolicy = helmet.contentSecurityPolicy({
  useDefaults: false,
  directives: {
    defaultSrc: ["'self'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", 'data:'],
    objectSrc: ["'none'"],
    baseUri: ["'self'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
  },
});

/**
 * A browser sends the login along with whatever another site makes it send, so changes must come from these pages.
 * Browsers say so in Sec-Fetch-Site, on plain HTTP in Origin; scripts send neither.
 */
const refuseCrossSite: RequestHandler = (req, _res, next) => {
  const site = req.get('Sec-Fetch-Site');
  const origin = req.get('Origin');
  const ownOrigin =
    origin === undefined || (URL.canParse(origin) && new URL(origin).host === req.get('Host'));
  const ownSite = site === undefined ? ownOrigin : site === 'same-origin' || site === 'none';
  if (!ownSite && !['GET', 'HEAD'].includes(req.method)) throw new ApiProblem('cross_site_request');
  next();
};

function nameRoute(route: string): RequestHandler {
  return (_req, res, next) => {
    contextOf(res).route = route;
    next();
  };
}

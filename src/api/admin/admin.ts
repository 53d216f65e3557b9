import { timingSafeEqual } from 'node:crypto';
import { type Request, type RequestHandler, Router } from 'express';
import helmet from 'helmet';
import { once } from '../../lib/memoize.js';
import { withTimeout } from '../../lib/with-timeout.js';
import { countedAddress, maskedAddress } from '../../otp/client-address.js';
import { redisTrouble } from '../../producer/redis-trouble.js';
import type { ApiDependencies } from '../dependencies.js';
import { readBasic, sha256 } from '../http/authentication.js';
import { contextOf, nameRoute } from '../http/context.js';
import { ApiProblem, retryAfter } from '../http/problem.js';
import { overviewPages } from './overview.js';

const boardPath = '/admin/queues';
const metricsPath = '/metrics';

/** Every admin page waits for the count of failed logins, so it may take less time than other calls to Redis. */
const countWithinMs = 500;

type Admin = NonNullable<ApiDependencies['admin']>;

/** The admin pages and this process's metrics, behind their own login. */
export function adminPages(admin: Admin, dependencies: ApiDependencies): Router {
  const router = Router({ caseSensitive: true });
  const authenticated = authenticateAdmin(admin, dependencies);
  router
    .route(metricsPath)
    .all(setRoute(metricsPath), authenticated)
    .get(async (_req, res) => {
      const { contentType, text } = await dependencies.metrics.exposition();
      res.set('Content-Type', contentType).set('Cache-Control', 'no-store').send(text);
    })
    .all(() => {
      throw new ApiProblem('method_not_allowed', { headers: { Allow: 'GET, HEAD' } });
    });
  router.use('/admin', setRoute('/admin'), authenticated, refuseCrossSite, pagePolicy);
  const board = once(() =>
    import('./bull-board.js').then(({ bullBoard }) => bullBoard(boardPath, admin.actions, dependencies)),
  );
  router.use(boardPath, setRoute(boardPath), async (req, res, next) => (await board())(req, res, next));
  router.use('/admin', overviewPages(admin.actions, dependencies));
  return router;
}

/** Bull Board's styles are partly inline. */
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
 * Refuses changes that another site makes a browser send, since the browser adds the login. Browsers name the site in
 * Sec-Fetch-Site, on plain HTTP in Origin; scripts send neither.
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

function setRoute(route: string): RequestHandler {
  return (_req, res, next) => {
    nameRoute(res, route);
    next();
  };
}

/**
 * HTTP Basic (RFC 7617) for one login. A client address with 10 failures in 10 minutes, or an IPv6 /56 network with 20,
 * gets 429 until the 10 minutes are over, also for the right password. Requests without a Basic login are not counted:
 * browsers send one first, and an app's key is not a guess.
 */
function authenticateAdmin(admin: Admin, dependencies: ApiDependencies): RequestHandler {
  const isRight = compareLogin(admin);
  const noteLogin = countLogins(dependencies);
  return async (req, res, next) => {
    const header = req.get('Authorization') ?? '';
    const right = isRight(header);
    if (/^Basic /i.test(header)) await noteLogin(clientAddress(req), right ? 'right' : 'wrong');
    if (right) {
      contextOf(res).admin = admin.username;
      return next();
    }
    const challenge = 'Basic realm="isms-otp-gateway", charset="UTF-8"';
    throw new ApiProblem('unauthorized', { headers: { 'WWW-Authenticate': challenge } });
  };
}

/** Compares both parts in constant time, so that the response time reveals nothing about a guess. */
function compareLogin(admin: Admin): (header: string) => boolean {
  const username = sha256(admin.username);
  const password = sha256(admin.password);
  return (header) => {
    const login = readBasic(header);
    const rightName = timingSafeEqual(sha256(login.username), username);
    const rightPassword = timingSafeEqual(sha256(login.password), password);
    return rightName && rightPassword;
  };
}

/** Counts a login for all processes; throws `too_many_logins` while the client is blocked. */
function countLogins({ store, logger }: Pick<ApiDependencies, 'store' | 'logger'>) {
  return async (client: string, login: 'right' | 'wrong'): Promise<void> => {
    const from = maskedAddress(client);
    const noted = await withTimeout(store.failedLogins.note(client, login), countWithinMs).catch(
      openWithoutRedis,
    );
    if (noted?.blockStarted) {
      logger.warn(
        { event: 'admin.login_blocked', from, endsInMs: noted.retryInMs },
        'too many failed admin logins from one address',
      );
    }
    if (noted?.blocked) throw new ApiProblem('too_many_logins', { headers: retryAfter(noted.retryInMs) });
    if (login === 'wrong') logger.warn({ event: 'admin.login_failed', from }, 'failed admin login');
  };
}

/**
 * Allows logins without a limit while Redis is away: operators need the pages then, and a password of at least 16
 * characters is not guessed in the meantime.
 */
function openWithoutRedis(error: unknown): null {
  if (redisTrouble(error) === null) throw error;
  return null;
}

/** An address with a port, as some proxies (Azure's) report it: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
const withPort = /^(?:\[(?<six>[^\]]+)\]|(?<four>[\d.]+))(?::\d+)?$/;

/** The address by which a client is counted, as trusted proxies report it. Personal data: never kept, and logged as its network. */
function clientAddress(req: Request): string {
  const address = req.ip ?? '';
  const { six, four } = withPort.exec(address)?.groups ?? {};
  return countedAddress(six ?? four ?? address);
}

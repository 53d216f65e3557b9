import { timingSafeEqual } from 'node:crypto';
import type { RequestHandler } from 'express';
import type { Logger } from '../../lib/logger.js';
import { withTimeout } from '../../lib/with-timeout.js';
import { maskedAddress } from '../../otp/client-address.js';
import { redisTrouble } from '../../producer/redis-trouble.js';
import type { Store } from '../../store/store.js';
import { readBasic, sha256 } from '../http/authentication.js';
import { contextOf } from '../http/context.js';
import { ApiProblem, retryAfter } from '../http/problem.js';
import { clientAddress } from '../http/request.js';

/** The one login of the admin pages. */
export interface AdminLogin {
  username: string;
  password: string;
}

/** Where failures are counted and told. */
export interface AdminLoginDependencies {
  store: Pick<Store, 'failedLogins'>;
  logger: Logger;
}

/** Every admin page waits for the count, so it may take less than other calls to Redis. */
const countWithinMs = 500;

/**
 * HTTP Basic (RFC 7617) for one login. A client address that failed 10 times in 10 minutes, or an IPv6 /56 network that
 * failed 20 times, gets 429 until those are over, whatever it presents. Requests that present no such login are not counted: browsers ask first, and a key of an app is no guess.
 */
export function authenticateAdmin(admin: AdminLogin, dependencies: AdminLoginDependencies): RequestHandler {
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

/** Compares both parts in constant time, so that neither the answer nor its time says how close a guess was. */
function compareLogin(admin: AdminLogin): (header: string) => boolean {
  const username = sha256(admin.username);
  const password = sha256(admin.password);
  return (header) => {
    const login = readBasic(header);
    const rightName = timingSafeEqual(sha256(login.username), username);
    const rightPassword = timingSafeEqual(sha256(login.password), password);
    return rightName && rightPassword;
  };
}

/** Notes a login where all processes count it; throws `too_many_logins` while the client is blocked. */
function countLogins({ store, logger }: AdminLoginDependencies) {
  return async (client: string, login: 'right' | 'wrong'): Promise<void> => {
    const from = maskedAddress(client);
    const noted = await withTimeout(store.failedLogins.note(client, login), countWithinMs).catch(
      openWithoutRedis,
    );
    if (noted?.begins) {
      const { endsInMs } = noted;
      logger.warn(
        { event: 'admin.login_blocked', from, endsInMs },
        'too many failed admin logins from one address',
      );
    }
    if (!noted?.blocked) {
      if (login === 'wrong') logger.warn({ event: 'admin.login_failed', from }, 'failed admin login');
      return;
    }
    throw new ApiProblem('too_many_logins', { headers: retryAfter(noted.endsInMs) });
  };
}

/**
 * Without Redis nobody can count, and the login works without a limit: the admin pages are where an operator looks
 * when Redis is in trouble, and a password of at least 16 characters is not guessed in the meantime.
 */
function openWithoutRedis(error: unknown): null {
  if (redisTrouble(error) === null) throw error;
  return null;
}

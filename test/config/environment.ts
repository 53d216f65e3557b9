import { ConfigError, loadConfig } from '../../src/config/load-config.js';
import type { ConfigFor, Role } from '../../src/config/roles.js';

export const canaries = {
  redis: 'redis-pass-canary',
  isms: 'isms-pass-canary',
  admin: 'admin-pass-canary-0123',
  key: 'api-key-canary-0123456789',
  data: Buffer.alloc(32, 'data-key-canary').toString('base64'),
};

/** Every setting that a role requires, and the admin login. */
export const complete = {
  REDIS_URL: `redis://user:${canaries.redis}@redis:6379/0`,
  ISMS_USERNAME: 'acme',
  ISMS_PASSWORD: canaries.isms,
  API_KEYS: `shop:${canaries.key}`,
  ENCRYPTION_KEYS: canaries.data,
  ADMIN_USERNAME: 'ops',
  ADMIN_PASSWORD: canaries.admin,
};

/** Loads the complete environment with a few variables changed; undefined takes one out. */
export function load<R extends Role = 'api'>(
  changes: Record<string, string | undefined> = {},
  role?: R,
  checks?: Parameters<typeof loadConfig>[2],
): ConfigFor<R | 'api'> {
  return loadConfig<R | 'api'>({ ...complete, ...changes }, role ?? 'api', checks);
}

/** "VARIABLE problem" of each error; none when the environment is right. */
export function settingErrors(
  changes: Record<string, string | undefined>,
  role: Role = 'api',
  checks?: Parameters<typeof loadConfig>[2],
): string[] {
  try {
    loadConfig({ ...complete, ...changes }, role, checks);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.errors.map(({ variable, problem }) => `${variable} ${problem}`);
  }
}

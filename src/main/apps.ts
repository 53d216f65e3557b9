import { ConfigError } from '../config/config-error.js';
import type { ApiKey } from '../config/keys.js';
import type { Logger } from '../lib/logger.js';
import { type App, type Apps, plainApp } from '../otp/app.js';
import { type AppsConfig, readApps } from './read-apps.js';
import type { Parts } from './running.js';

/** The apps of API_KEYS and APPS_FILE, which can change while the process runs. */
export interface AppRegistry extends Apps {
  /** Who may call the API. */
  keys(): readonly ApiKey[];
  /** Those that APPS_FILE names. */
  named(): readonly App[];
  /** Reads APPS_FILE again. Throws a ConfigError with every mistake in it; then what was read before stays in force. */
  reload(): void;
}

/** Reads APPS_FILE, if there is one. Throws a ConfigError with every mistake in it. */
export function createAppRegistry(config: AppsConfig): AppRegistry {
  const plain = new Map<string, App>();
  let known = readApps(config);
  return {
    of: (name) => {
      const app = known.apps.get(name) ?? plain.get(name) ?? plainApp(name);
      if (!known.apps.has(name)) plain.set(name, app);
      return app;
    },
    keys: () => known.keys,
    named: () => [...known.apps.values()],
    reload: () => {
      known = readApps(config);
    },
  };
}

/** Reads APPS_FILE again on SIGHUP, where there is one. */
export function reloadOnHangup(
  apps: AppRegistry,
  { appsFile }: AppsConfig,
  { parts, logger }: { parts: Pick<Parts, 'onHangup'>; logger: Logger },
): void {
  if (appsFile === undefined) return;
  parts.onHangup(() => {
    try {
      apps.reload();
      logger.info({ event: 'apps.reloaded', apps: apps.named().length }, 'APPS_FILE was read again');
    } catch (err) {
      const problem = err instanceof ConfigError ? err.message : 'unreadable';
      logger.error(
        { event: 'apps.not_reloaded', problem },
        'APPS_FILE is wrong: what was read before stays in force',
      );
    }
  });
}

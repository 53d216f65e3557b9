import { startSimulator } from 'isms-2fa-simulator';
import type { Logger } from 'pino';
import type { ConfigFor } from '../config/commands.js';
import type { Parts } from './running.js';

/** The iSMS simulator alone, on `HOST` and `PORT`; it asks for the account's credentials when they are set. */
export async function runSimulator(
  { http, account }: ConfigFor<'simulate'>,
  logger: Logger,
  parts: Parts,
): Promise<void> {
  const options = {
    host: http.host,
    port: http.port,
    logger,
    ...(account && { username: account.username, password: account.password.reveal() }),
  };
  const simulator = parts.add(await startSimulator(options));
  logger.info(
    { event: 'simulator.started', url: simulator.url, endpoint: simulator.endpoint },
    'simulator started',
  );
}

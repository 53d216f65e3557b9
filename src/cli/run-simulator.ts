import type { Logger } from 'pino';
import type { ConfigFor } from '../config/commands.js';
import { startSimulator } from '../simulator/simulator.js';
import type { Running } from './running.js';

/** The iSMS simulator alone, on `HOST` and `PORT`; it asks for the account's credentials when they are set. */
export async function runSimulator(
  { http, account }: ConfigFor<'simulate'>,
  logger: Logger,
): Promise<Running> {
  const simulator = await startSimulator({
    host: http.host,
    port: http.port,
    logger,
    ...(account && { username: account.username, password: account.password.reveal() }),
  });
  logger.info(
    { event: 'simulator.started', url: simulator.url, endpoint: simulator.endpoint },
    'simulator started',
  );
  return simulator;
}

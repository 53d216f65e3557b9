import { startSimulator } from 'isms-2fa-simulator';
import type { ConfigFor } from '../config/roles.js';
import { createLogger } from '../telemetry/logger.js';
import type { Lifecycle } from './lifecycle.js';
import { portTaken } from './listen.js';

/** The iSMS simulator alone, on `HOST` and `PORT`; it checks the account's credentials when they are set. */
export async function runSimulator(
  { http: { host, port }, account, logLevel }: ConfigFor<'simulate'>,
  lifecycle: Lifecycle,
): Promise<void> {
  const logger = createLogger({ level: logLevel, role: 'simulate' });
  const credentials = account && { username: account.username, password: account.password.reveal() };
  const simulator = await startSimulator({ host, port, logger, ...credentials }).catch((error: unknown) => {
    throw portTaken(error, 'the iSMS simulator', 'Set PORT to a free one.') ?? error;
  });
  lifecycle.add(simulator);
  const { url, endpoint } = simulator;
  logger.info({ event: 'simulator.started', url, endpoint }, 'simulator started');
}

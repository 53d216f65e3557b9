import { createOtpProducer } from '../src/index.js';
import { gatewayEnvironment } from '../test/support/processes.js';
import { app } from './support/gateway-processes.js';
import type { Stand } from './support/stand.js';

/** Has the producer library take on all of them; throws when one is refused. */
export type SendMany = (otps: { to: string; message: string }[]) => Promise<void>;

export function createSendMany(stand: Stand): SendMany {
  const env = gatewayEnvironment(stand.redisUrl, stand.provider);
  const producer = stand.add(createOtpProducer({ app, env }), (open) => open.close());
  return async (otps) => {
    const { accepted, rejected } = await producer.sendMany(otps);
    if (accepted !== otps.length) throw new Error(`${accepted} accepted and ${rejected} rejected`);
  };
}

import { pino } from 'pino';
import { expect, it, vi } from 'vitest';
import { createOtpProducer } from '../../src/main/otp-producer.js';
import { encryptionKey } from '../support/otps.js';
import { startRedisServer } from '../support/redis-server.js';

it('passes no Redis password to the app’s logger', async () => {
  const server = await startRedisServer();
  const admin = server.connect();
  await admin.config('SET', 'requirepass', 'the-right-password');
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(line) });
  const REDIS_URL = server.url.replace('//', '//:wrong-password-canary@');
  const env = { REDIS_URL, ENCRYPTION_KEYS: encryptionKey.toString('base64') };
  const producer = createOtpProducer({ app: 'shop', env, logger });
  try {
    await vi.waitUntil(() => lines.some((line) => line.includes('WRONGPASS')), { timeout: 5_000 });
    expect(lines.join('')).not.toContain('canary');
  } finally {
    await producer.close();
    admin.disconnect();
    await server.stop();
  }
});

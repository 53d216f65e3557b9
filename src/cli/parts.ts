import type { Redis } from 'ioredis';
import type { ConfigFor } from '../config/commands.js';
import { createIsmsProvider } from '../isms/provider.js';
import type { Provider } from '../otp/provider.js';
import type { Policy } from '../store/script.js';
import { createSealer, type Sealer } from '../store/sealing.js';

type GatewayConfig = ConfigFor<'worker'>;

/** Time for Redis to hear of a call that used its whole time-out. */
const settleMs = 2_000;
const verifyConnections = 64;

/** The iSMS account of this configuration; as many connections as there may be sends in flight. */
export function ismsProvider({ isms, account, worker }: GatewayConfig): Provider {
  return createIsmsProvider({
    ...isms,
    username: account.username,
    password: account.password.reveal(),
    sendConnections: worker.concurrency,
    verifyConnections,
  });
}

/** The modes of the toll-fraud guard, as the store counts them. */
export const fraudGuards = { off: 0, monitor: 1, enforce: 2 } as const;

/** What the store's functions decide by. */
export function policyOf({ otp, isms, limits, fraud }: GatewayConfig): Policy {
  return {
    keepMs: otp.keepSeconds * 1_000,
    sendLeaseMs: isms.sendTimeoutMs + settleMs,
    verifyLeaseMs: isms.verifyTimeoutMs + settleMs,
    sendRetries: otp.sendRetries,
    unknownResends: otp.unknownResends,
    phoneCooldownMs: limits.phoneCooldownSeconds * 1_000,
    phonePer10Minutes: limits.phonePer10Minutes,
    phonePerDay: limits.phonePerDay,
    numberPerDay: limits.numberPerDay,
    appPerSecond: limits.appPerSecond,
    clientIpPer10Minutes: limits.clientIpPer10Minutes,
    wrongCodes: limits.wrongCodes,
    fraudGuard: fraudGuards[fraud.guard],
  };
}

export function sealerOf({ dataKeys }: GatewayConfig): Sealer {
  return createSealer(dataKeys.reveal());
}

/** Closes a connection politely, or at once when Redis does not answer. */
export async function disconnect(redis: Redis): Promise<void> {
  if (redis.status === 'ready') await redis.quit().catch(() => {});
  redis.disconnect();
}

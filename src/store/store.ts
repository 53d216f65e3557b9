import type { Redis } from 'ioredis';
import type { BalanceLimits } from '../otp/balance.js';
import { type BalanceStore, createBalanceStore } from './balance.js';
import { keys } from './keys.js';
import { createOtps, type Otps } from './otps.js';
import { guardRestart, type RestartFinding } from './restart-guard.js';
import type { Policy } from './script.js';
import type { Sealer } from './sealing.js';
import { createSendAttempts, type SendAttempts } from './send-attempts.js';
import { createSendingPause, type SendingPause } from './sending-pause.js';
import { createVerificationAttempts, type VerificationAttempts } from './verification-attempts.js';

const readyKeptMs = 10_000;

/** Everything kept in Redis beside the queues. Its functions on OTPs are the edges of the state diagram. */
export interface Store {
  otps: Otps;
  sendAttempts: SendAttempts;
  verificationAttempts: VerificationAttempts;
  sendingPause: SendingPause;
  balance: BalanceStore;
  /** Resolves once Redis has taken a write. */
  probe(): Promise<void>;
  /** True for one caller in `periodMs`, the one that does a job for all processes. */
  holdLease(name: string, periodMs: number): Promise<boolean>;
}

export interface StoreOptions {
  redis: Redis;
  sealer: Sealer;
  policy: Policy;
  operatorPauseKey: string;
  balanceLimits: BalanceLimits;
  onRedisRestart?: (finding: RestartFinding) => void;
}

export function createStore({ onRedisRestart, ...options }: StoreOptions): Store {
  const { redis } = options;
  const guard = async () => onRedisRestart?.(await guardRestart(redis));
  return {
    otps: createOtps(options),
    sendAttempts: createSendAttempts({ ...options, onRedisRestart: guard }),
    verificationAttempts: createVerificationAttempts(options),
    sendingPause: createSendingPause(redis),
    balance: createBalanceStore(redis, options.balanceLimits),
    probe: async () => {
      await redis.set(keys.ready, '1', 'PX', readyKeptMs);
    },
    holdLease: async (name, periodMs) =>
      (await redis.set(keys.lease(name), '1', 'PX', periodMs, 'NX')) === 'OK',
  };
}

import type { Redis } from 'ioredis';
import type { BalanceLimits } from '../otp/balance.js';
import { type BalanceStore, createBalanceStore } from './balance.js';
import { createHistoryNotes, type HistoryFinding } from './history.js';
import { keys } from './keys.js';
import { createOtps, type Otps } from './otps.js';
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
  /** Called once for each history of Redis's data that is not the one before. */
  onNewHistory?: (finding: HistoryFinding) => void;
}

export function createStore({ onNewHistory = () => {}, ...stores }: StoreOptions): Store {
  const { redis } = stores;
  const options = { ...stores, noteHistory: createHistoryNotes(redis, onNewHistory) };
  return {
    otps: createOtps(options),
    sendAttempts: createSendAttempts(options),
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

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { moves, statuses } from '../otp/states.js';

/** Numbers that the Lua functions decide by. All durations are milliseconds. */
export interface Policy {
  /** How long a record is kept after its OTP ended. */
  keepMs: number;
  /** How long one send call may take. */
  sendTimeoutMs: number;
  /** How long a verification attempt may be under way. */
  verifyLeaseMs: number;
  /** Retries of a send that is proven not to have happened. */
  sendRetries: number;
  /** Resends after an attempt whose outcome nobody can know. */
  unknownResends: number;
}

/** How long after an attempt's end its own worker may still write its outcome before the sweeper does. */
const settleGraceMs = 5_000;
/** How long after admission the sweeper looks whether the job has arrived. */
const enqueueGraceMs = 10_000;
/** How long a 200 that got lost on its way is answered again to the same Idempotency-Key (contract). */
const verifyReplayMs = 60_000;

export type Script = (keys: string[], args: (string | number)[]) => Promise<unknown>;

/** Lua literals of the state machine and the policy, in front of every function on records. */
function preamble(policy: Policy): string {
  const luaMoves = statuses.map(
    (from) => `${from} = { ${moves[from].map((to) => `${to} = true`).join(', ')} }`,
  );
  const numbers = Object.entries({ ...policy, settleGraceMs, enqueueGraceMs, verifyReplayMs });
  return [
    `local MOVES = { ${luaMoves.join(', ')} }`,
    `local POLICY = { ${numbers.map(([name, value]) => `${name} = ${value}`).join(', ')} }`,
    readLua('record'),
  ].join('\n');
}

function readLua(name: string): string {
  return readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');
}

/**
 * A Lua function, called by its SHA and loaded when Redis does not know it. `onUnknown` runs before it is loaded:
 * Redis forgets its scripts when it restarts or fails over, so an unknown script is how a restart shows.
 */
export function loadScript(redis: Redis, source: string, onUnknown?: () => Promise<void>): Script {
  const sha = createHash('sha1').update(source).digest('hex');
  return async (keys, args) => {
    try {
      return await redis.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      await onUnknown?.();
      return await redis.eval(source, keys.length, ...keys, ...args);
    }
  };
}

/** A function on OTP records: the shared part of `lua/record.lua` under this policy, then `lua/<name>.lua`. */
export function loadRecordScript(
  redis: Redis,
  { name, policy, onUnknown }: { name: string; policy: Policy; onUnknown?: () => Promise<void> },
): Script {
  return loadScript(redis, `${preamble(policy)}\n${readLua(name)}`, onUnknown);
}

/** A function that touches no OTP record: `lua/<name>.lua` alone. */
export function loadPlainScript(redis: Redis, name: string): Script {
  return loadScript(redis, readLua(name));
}

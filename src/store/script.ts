import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { moves, statuses } from '../otp/states.js';

/** Numbers that the Lua functions decide by. All durations are milliseconds. */
export interface Policy {
  /** How long a record is kept after its OTP ended. */
  keepMs: number;
  /** How long a send attempt may be under way: its call, and writing its outcome down. */
  sendLeaseMs: number;
  /** How long a verification attempt may be under way. */
  verifyLeaseMs: number;
  /** Retries of a send that is proven not to have happened. */
  sendRetries: number;
  /** Resends after an attempt whose outcome nobody can know. */
  unknownResends: number;
  /** OTPs of one app to one number: least time between two; most in 10 minutes and in a day. 0 is off, for all limits. */
  phoneCooldownMs: number;
  phonePer10Minutes: number;
  phonePerDay: number;
  /** OTPs of all apps together to one number in a day. */
  numberPerDay: number;
  /** OTPs of one app in a second. */
  appPerSecond: number;
  /** OTPs of one app for one client address in 10 minutes. */
  clientIpPer10Minutes: number;
  /** Wrong codes in a row, of one app and number across its OTPs, that lock the number. Never 0. */
  wrongCodes: number;
  /** What the toll-fraud guard does; `monitor` decides and tells, and refuses nothing. */
  fraudGuard: 'off' | 'monitor' | 'enforce';
}

/** The most that a Redis with `appendfsync everysec` loses is 2 s; an unknown that old is sure to stay. */
const lossWindowMs = 3_000;
/** How long after admission the sweeper looks whether the job has arrived. */
const enqueueGraceMs = 10_000;
/** How long a 200 that got lost on its way is answered again to the same Idempotency-Key. */
const verifyReplayMs = 60_000;

export type Script = (keys: string[], args: (string | number)[]) => Promise<unknown>;

/** Lua literals of the state machine and the policy, in front of every function on records. */
function preamble(policy: Policy, parts: readonly string[]): string {
  const luaMoves = statuses.map(
    (from) => `${from} = { ${moves[from].map((to) => `${to} = true`).join(', ')} }`,
  );
  const values = Object.entries({ ...policy, lossWindowMs, enqueueGraceMs, verifyReplayMs });
  return [
    `local MOVES = { ${luaMoves.join(', ')} }`,
    `local POLICY = { ${values.map(([name, value]) => `${name} = ${JSON.stringify(value)}`).join(', ')} }`,
    ...['clock', 'record', ...parts].map(readLua),
  ].join('\n');
}

function readLua(name: string): string {
  return readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');
}

/** A Lua function, called by its SHA and loaded when Redis does not know it. */
export function loadScript(redis: Redis, source: string): Script {
  const sha = createHash('sha1').update(source).digest('hex');
  return async (keys, args) => {
    try {
      return await redis.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return await redis.eval(source, keys.length, ...keys, ...args);
    }
  };
}

/** What every function on OTP records is made with. */
export interface RecordScripts {
  redis: Redis;
  policy: Policy;
  /** Judges a history of Redis's data that a partition has not been seen in. */
  noteHistory: (historyKey: string) => Promise<void>;
}

/**
 * A function on OTP records: the shared part of `lua/record.lua` under this policy, further `parts`, then
 * `lua/<name>.lua`. Its keys begin with those of `recordKeys`. When it finds that Redis's data has another history, it is asked again after
 * that was noted.
 */
export function loadRecordScript(
  { redis, policy, noteHistory }: RecordScripts,
  name: string,
  parts: readonly string[] = [],
): Script {
  const script = loadScript(redis, `${preamble(policy, parts)}\n${readLua(name)}`);
  return async (keys, args) => {
    try {
      return await script(keys, args);
    } catch (error) {
      if (!(error instanceof Error && error.message.includes('HISTORY_CHANGED'))) throw error;
      const [, , historyKey = ''] = keys;
      await noteHistory(historyKey);
      return await script(keys, args);
    }
  };
}

/** A function that touches no OTP record: `lua/<name>.lua`, after the clock and further parts. */
export function loadPlainScript(redis: Redis, name: string, parts: readonly string[] = []): Script {
  return loadScript(redis, ['clock', ...parts, name].map(readLua).join('\n'));
}

import { readFileSync } from 'node:fs';
import { Cluster, type Redis } from 'ioredis';
import { z } from 'zod';
import { type BatchLimits, createBatcher } from '../lib/batcher.js';
import { redisScript } from '../lib/redis-script.js';
import { dayMs } from '../lib/time.js';
import { withTimeout } from '../lib/with-timeout.js';
import type { EventType } from '../otp/event.js';
import { statuses, transitions } from '../otp/otp.js';
import { hashSlot } from '../otp/otp-id.js';
import type { Encrypter } from './encryption.js';
import { tagOf } from './keys.js';

/** Numbers that the Lua functions decide by. All durations are milliseconds. */
export interface Policy {
  /** How long a record is kept after its OTP ended (OTP_RETENTION_SECONDS). */
  retentionMs: number;
  /** How long a send attempt may be under way: its call, and writing its outcome down. */
  sendLeaseMs: number;
  /** How long a verification attempt may be under way. */
  verifyLeaseMs: number;
  /** Retries of a send that is proven not to have happened. */
  maxSendRetries: number;
  /** Resends after an attempt with an unknown outcome. */
  maxResendsAfterUnknown: number;
  /** OTPs of one app to one number: least time between two; most in 10 minutes and in a day. 0 is off, for all limits. */
  recipientCooldownMs: number;
  recipientPer10Minutes: number;
  recipientPerDay: number;
  /** OTPs of all apps together to one number in a day. */
  recipientPerDayAllApps: number;
  /** OTPs of one app in a second. */
  appPerSecond: number;
  /** OTPs of one app for one client address in 10 minutes. */
  clientIpPer10Minutes: number;
  /** Credits of one app in a day and in a month of `budgetTimeZone`. */
  creditsPerDay: number;
  creditsPerMonth: number;
  /** IANA name. */
  budgetTimeZone: string;
  /** Wrong codes in a row, of one app and number across its OTPs, that lock the number. Never 0. */
  maxWrongCodes: number;
  /** Mode of the toll-fraud guard; `monitor` decides and reports, and refuses nothing. */
  fraudGuard: 'off' | 'monitor' | 'enforce';
  /** The events that are emitted, each between two spaces: ` otp.sent otp.failed `. */
  events: string;
}

/** These events as the policy has them. */
export function wantedEvents(types: readonly EventType[]): string {
  return ` ${types.join(' ')} `;
}

/** `appendfsync everysec` loses 2 s at most. An unknown outcome this old survives a crash. */
const lossWindowMs = 3_000;
/** How long after admission the sweeper checks whether the job has arrived. */
const enqueueGraceMs = 10_000;
/** How long after its upload a batch may start at most. */
export const longestStartMs = 7 * dayMs;
const longestTtlMs = 600_000;
/** How long a successful verification is replayed to the same Idempotency-Key. */
const verifyReplayMs = 60_000;

/** Longest useful life of an OTP's data in ms: send deadline + send lease + TTL + retention. */
export function longestLifeMs(
  { sendDeadlineMs, ttlMs }: { sendDeadlineMs: number; ttlMs: number },
  { sendLeaseMs, retentionMs }: Pick<Policy, 'sendLeaseMs' | 'retentionMs'>,
): number {
  return sendDeadlineMs + sendLeaseMs + ttlMs + retentionMs;
}

/** How long a list is kept after its newest entry: as long as any OTP or batch can live. */
export function longestListedMs(policy: Pick<Policy, 'sendLeaseMs' | 'retentionMs'>): number {
  return longestStartMs + longestLifeMs({ sendDeadlineMs: dayMs, ttlMs: longestTtlMs }, policy);
}

/** A single Redis, or a Redis Cluster, where one call reaches one slot. */
export type RedisClient = Redis | Cluster;

/** The servers that take writes: one, or the masters of a cluster. */
export function mastersOf(redis: RedisClient): Redis[] {
  return redis instanceof Cluster ? redis.nodes('master') : [redis];
}

/** The server that holds a key. Throws while a cluster knows of none. */
export function masterOf(redis: RedisClient, key: string): Redis {
  if (!(redis instanceof Cluster)) return redis;
  const [address] = redis.slots[hashSlot(tagOf(key))] ?? [];
  const master = mastersOf(redis).find(({ options }) => `${options.host}:${options.port}` === address);
  if (!master) throw new Error('Cluster is without a master for a slot');
  return master;
}

/** Schema of a reply that a Lua function writes as JSON, so that its members have names. */
export function json<T extends z.ZodType>(schema: T) {
  return z
    .string()
    .transform((text): unknown => JSON.parse(text))
    .pipe(schema);
}

/** Returns the result of `read`, or `fallback` if it throws: one broken entry must not hide the others. */
export function tryOr<T, F>(read: () => T, fallback: F): T | F {
  try {
    return read();
  } catch {
    return fallback;
  }
}

type Script = (keys: string[], args: (string | number | Buffer)[]) => Promise<unknown>;

/** Values of `POLICY.name` in Lua sources: the operator's settings and fixed numbers. */
function luaValues(policy: Partial<Policy>): Record<string, string | number | undefined> {
  // To make a table of the transitions would cost each call more than to search this text.
  const pairs = statuses.flatMap((from) => transitions[from].map((to) => `${from}>${to} `));
  const fixed = { lossWindowMs, enqueueGraceMs, verifyReplayMs, longestStartMs };
  return { ...policy, ...fixed, transitions: pairs.join('') };
}

/**
 * Source of `<file>` or `<file>#<command>`: includes first, once each, then the text before the first command, then the
 * command. All share one scope: local names must be unique.
 */
function readLua(name: string, included = new Set<string>()): string {
  const [file = '', command] = name.split('#');
  if (included.has(file)) return '';
  included.add(file);
  const source = readFileSync(new URL(`./lua/${file}.lua`, import.meta.url), 'utf8');
  const [head = '', ...commands] = source.split(/^--- @command /m);
  const own = command === undefined ? '' : commands.find((each) => each.startsWith(`${command}\n`));
  if (own === undefined) throw new Error(`lua/${file}.lua: there is no command ${command}`);
  // The command's name stays, as a comment.
  const text = own === '' ? head : `${head}-- ${own}`;
  return text.replaceAll(/^--- @include "(.+)"\n/gm, (_, other: string) => readLua(other, included));
}

/**
 * The source of a Lua function (`readLua`) with the values of a policy. Throws for an unknown `POLICY` name, so that a
 * misspelt one stops the process at its start.
 */
export function luaSource(name: string, policy: Partial<Policy> = {}): string {
  const values = luaValues(policy);
  return readLua(name).replaceAll(/\bPOLICY\.(\w+)/g, (_, key: string) => {
    const value = values[key];
    if (value === undefined) throw new Error(`lua/${name}.lua: there is no POLICY.${key}`);
    return JSON.stringify(value);
  });
}

/** A Lua function (`luaSource`) under a policy. */
export function loadScript(redis: RedisClient, name: string, policy: Partial<Policy> = {}): Script {
  const script = redisScript(luaSource(name, policy));
  return (keys, args) => script(redis, keys, args);
}

/** Dependencies of most of the store. */
export interface StoreContext {
  redis: RedisClient;
  encrypter: Encrypter;
  policy: Policy;
}

/** Dependencies of the functions on OTP records. */
export interface RecordScriptOptions extends StoreContext {
  /** Records a partition's new replication id (`createHistories`). */
  noteHistory: (historyKey: string) => Promise<void>;
}

/** One record's share of a call: its key, and the arguments that belong to it. */
interface RecordCall {
  key: string;
  args: (string | number)[];
}

/** Makes several calls; resolves with their answers in order, an `Error` for each that failed. */
type CallAll<C extends { key: string } = RecordCall> = (calls: C[]) => Promise<unknown[]>;

/**
 * Limits of calls on single records. Redis serves no other client during one. With fewer and larger calls, it and this
 * process wait for each other; in smaller ones, a record costs more.
 */
export const singleRecordLimits = { least: 16, most: 64, inFlight: 4 };

/** Of calls that must not happen after their request was answered, which is after `redisDeadlineMs`. */
export const requestLimits = { ...singleRecordLimits, waitMs: 2_000 };

/**
 * A function on one OTP record. Simultaneous calls go to Redis in one call, on a cluster in one per partition. If it
 * finds a new replication id, that is recorded and the call repeated.
 */
export function loadRecordScript(
  options: RecordScriptOptions,
  name: string,
  { deadlineMs, ...limits }: Partial<BatchLimits> & { deadlineMs?: number } = {},
): (key: string, args: (string | number)[]) => Promise<unknown> {
  const { redis, policy } = options;
  const script = loadListScript(redis, name, policy, deadlineMs);
  const groupOf = redis.isCluster ? ({ key }: RecordCall) => tagOf(key) : undefined;
  const ask = createBatcher(
    retryAfterHistoryChange(options, script),
    { ...singleRecordLimits, ...limits },
    groupOf,
  );
  return async (key, args) => {
    const answer = await ask({ key, args });
    if (answer instanceof Error) throw answer;
    return answer;
  };
}

/** A function that is called for a list of keys, each with its own arguments, and returns a list. */
export function loadListScript(
  redis: RedisClient,
  name: string,
  policy: Partial<Policy> = {},
  deadlineMs?: number,
): CallAll {
  const script = loadScript(redis, name, policy);
  return bySlot(
    redis,
    async (calls) => {
      const scriptKeys = calls.map(({ key }) => key);
      const args = calls.flatMap((call) => call.args);
      return (await script(scriptKeys, args)) as unknown[];
    },
    deadlineMs,
  );
}

/**
 * On a cluster, where one call reaches one slot, makes a call for each hash tag; one that fails, or takes longer than
 * `deadlineMs`, does not affect the others.
 */
export function bySlot<C extends { key: string }>(
  redis: RedisClient,
  run: CallAll<C>,
  deadlineMs?: number,
): CallAll<C> {
  if (!redis.isCluster) return run;
  return async (calls) => {
    const answers = new Map<C, unknown>();
    const runOne = async (ofTag: C[]) => {
      const answering = deadlineMs === undefined ? run(ofTag) : withTimeout(run(ofTag), deadlineMs);
      const ofThese = await answering.catch((error: unknown) => ofTag.map(() => error));
      for (const [i, call] of ofTag.entries()) answers.set(call, ofThese[i]);
    };
    await Promise.all([...Map.groupBy(calls, ({ key }) => tagOf(key)).values()].map(runOne));
    return calls.map((call) => answers.get(call));
  };
}

const failure = (answer: unknown): Error | null =>
  Array.isArray(answer) && answer[0] === 'error' ? new Error(String(answer[1])) : null;

/** The key of the history that a call found changed. */
function changedHistory(answer: unknown): string | null {
  return answer instanceof Error ? (/HISTORY_CHANGED (\S+)/.exec(answer.message)?.[1] ?? null) : null;
}

/** Repeats the calls that found a new replication id, after recording it. */
export function retryAfterHistoryChange<C extends { key: string }>(
  { noteHistory }: Pick<RecordScriptOptions, 'noteHistory'>,
  script: CallAll<C>,
): CallAll<C> {
  const run: CallAll<C> = async (calls) => {
    const answers = await script(calls);
    return answers.map((answer) => failure(answer) ?? answer);
  };
  return async (calls) => {
    const answers = await run(calls);
    const changed = answers.map(changedHistory);
    const again = calls.filter((_, i) => changed[i] !== null);
    if (again.length === 0) return answers;
    await Promise.all([...new Set(changed)].map((key) => key !== null && noteHistory(key)));
    const repeated = await run(again);
    return answers.map((answer, i) => (changed[i] === null ? answer : repeated.shift()));
  };
}

import { z } from 'zod';
import { shared } from '../lib/memoize.js';
import { withTimeout } from '../lib/with-timeout.js';
import { type AccountTrouble, accountTroubles } from '../otp/outcome.js';
import { keys } from './keys.js';
import { json, loadScript, type RedisClient, type StoreContext } from './script.js';

const pauseSchema = z.object({
  trouble: z.enum(accountTroubles),
  since: z.number(),
  /** For how many ms OTPs have been sent one at a time, to find out whether the trouble is over; null: they are not. */
  triedForMs: z.number().nullable().default(null),
  /** Milliseconds until OTPs may be tried. */
  tryInMs: z.number(),
});

/** Why sending is paused, and since when (ms of Redis's clock). */
export type Pause = z.infer<typeof pauseSchema>;

/** The pause for account trouble, shared by all workers. An operator's pause of the queue is BullMQ's own. */
export type SendingPause = ReturnType<typeof createSendingPause>;

const pauseReply = json(pauseSchema).nullable();
const reasonSchema = z.enum([...accountTroubles, 'operator']).nullable();
const reportReply = z.enum(['began', 'paused', 'ignored']);

export function createSendingPause(
  options: Omit<StoreContext, 'encrypter'> & { operatorPauseKeys: readonly string[] },
) {
  const { redis, policy, operatorPauseKeys } = options;
  const readReason = createPauseReader(redis, { operatorPauseKeys, whileTrying: true });
  const load = (name: string) => loadScript(redis, `sending/pause#${name}`, policy);
  const read = load('read');
  const report = load('report');
  const startTrying = load('try');
  const resume = load('resume');
  const events = keys.events('sending');
  return {
    read: async () => pauseReply.parse(await read([keys.pause], [])),
    /** Why sending is paused, an operator's pause of a queue included; an unreadable value is as it was last. */
    reason: async () => reasonSchema.parse(await readReason()),
    /**
     * `ignored`: the claim is older than the last resume, or than the trials that go on; `began`: this report began the
     * pause.
     */
    report: async ({ trouble, claimedAt }: { trouble: AccountTrouble; claimedAt: number }) =>
      reportReply.parse(await report([keys.pause, events], [trouble, claimedAt])),
    /** True when OTPs may be tried one at a time from now on; false where it is too early, or others began already. */
    startTrying: async () => (await startTrying([keys.pause], [])) === 1,
    /** True when this call ended the pause; with the claim of an accepted call, only one that began before it. */
    resume: async (accepted?: { claimedAt: number }) =>
      (await resume([keys.pause, events], [accepted ? accepted.claimedAt : ''])) === 1,
  };
}

/** A master that takes longer counts as unavailable. */
const pauseDeadlineMs = 200;

/**
 * Reads why sending is paused: `operator` or the account's trouble; null: it is not. `whileTrying`: also while OTPs are
 * tried one at a time. On a Redis Cluster an unavailable master must not stop the others' OTPs, so the last value read
 * counts.
 */
export function createPauseReader(
  redis: RedisClient,
  { operatorPauseKeys, whileTrying = false }: { operatorPauseKeys: readonly string[]; whileTrying?: boolean },
): () => Promise<string | null> {
  const fields = whileTrying ? ['trouble', 'trying'] : ['trouble'];
  const reads = [
    lastKnown(
      async () => (await redis.hmget(keys.pause, ...fields)).find((trouble) => trouble !== null) ?? null,
      null,
    ),
    ...operatorPauseKeys.map((key) =>
      lastKnown(async () => ((await redis.hexists(key, 'paused')) === 1 ? 'operator' : null), null),
    ),
  ];
  return async () => {
    const [trouble = null, ...byOperator] = await Promise.all(reads.map((read) => read()));
    return byOperator.find((paused) => paused !== null) ?? trouble;
  };
}

/** Reads a value; if that fails or takes too long, resolves with the last one read. Concurrent callers share a read. */
export function lastKnown<T>(read: () => Promise<T>, first: T): () => Promise<T> {
  let known = first;
  return shared(async () => {
    const reading = read().then((found) => {
      known = found;
    });
    await withTimeout(reading, pauseDeadlineMs).catch(() => {});
    return known;
  });
}

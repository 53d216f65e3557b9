import { cachedFor } from '../lib/memoize.js';
import type { Lane } from '../otp/otp.js';
import { type Refusal, refuse } from '../otp/refusal.js';
import type { Backlog, SendOtpQueue } from '../queues/send-otp.js';
import type { Load } from '../store/load.js';
import type { WaitingLines } from '../store/waiting-lines.js';

/** Interval of backlog samples; one request a second takes a new one, without waiting for it. */
const sampleEveryMs = 1_000;
/** Interval of memory samples: in this time bulk takes 2 MB, as much as a small Redis can spare. */
const sampleMemoryEveryMs = 100;
/** Age of the oldest sample: half a minute without the provider must not make the whole backlog look hopeless. */
const sampleKeptMs = 60_000;
/** A rate over less time is chance, and excludes workers that have just started. */
const leastSpanMs = 5_000;
/** A smaller backlog is never refused: a worker that has just started sends it in a moment. */
const freeBacklog = 100;
/**
 * Shares of Redis's memory at which new OTPs are refused: Redis refuses writes at its limit, workers must finish accepted
 * OTPs, and bulk must leave a share for single OTPs. Only a fresh sample counts.
 */
const fullest = { single: 0.9, bulk: 0.8 };
const freshMs = 2_000;
const longestRetryAfterMs = 60_000;
/** Limit of an app's batches with unsent OTPs: each takes turns, and each API process reads all of them. */
const mostUnsentBatches = 1_000;
export const tooManyBatches = `This app has ${mostUnsentBatches.toLocaleString('en')} batches with unsent OTPs.`;

interface Sample {
  at: number;
  backlog: Backlog;
  /** Lines of batches that wait for their release, by app. */
  linesOf: ReadonlyMap<string, number>;
  done: number;
}

/**
 * Refuses OTPs that could not be sent before their deadline, instead of accepting and dropping them. Each process samples
 * the load once a second while asked.
 */
export function createBackpressure(options: {
  sendOtpQueue: Pick<SendOtpQueue, 'backlog'>;
  waitingLines: Pick<WaitingLines, 'active'>;
  load: Pick<Load, 'done' | 'memory'>;
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
}) {
  const { sendOtpQueue, waitingLines, load, now = () => performance.now() } = options;
  const activeBatches = cachedFor(sampleEveryMs, () => waitingLines.active());
  let samples: Sample[] = [];
  let memory = { share: 0, at: Number.NEGATIVE_INFINITY };
  const sampleQueue = async (at: number) => {
    const [backlog, active, done] = await Promise.all([
      sendOtpQueue.backlog(),
      waitingLines.active(),
      load.done(),
    ]);
    const linesOf = new Map<string, number>();
    for (const { app, waiting, waitsFor } of active) {
      // Lines that wait for something else than their turn are not ahead of others.
      if (waitsFor === null || waitsFor === 'earlier_batch')
        linesOf.set(app, (linesOf.get(app) ?? 0) + waiting);
    }
    samples = [...samples.filter((sample) => at - sample.at < sampleKeptMs), { at, backlog, linesOf, done }];
  };
  const sampleMemory = async (at: number) => {
    memory = { share: await load.memory(), at };
  };
  const samplers = [atMostEvery(sampleEveryMs, sampleQueue), atMostEvery(sampleMemoryEveryMs, sampleMemory)];
  const refusesAs = (lane: Lane): Refusal | null => {
    for (const sample of samplers) sample(now());
    const full = memory.share >= fullest[lane] && now() - memory.at < freshMs;
    return full ? refuse('overloaded', { reason: 'memory', retryAfterMs: freshMs }) : null;
  };
  return {
    /** Whether the app may begin another batch, by a count up to a second old; true while Redis does not answer. */
    takesBatch: async (app: string) => {
      const active = await activeBatches().catch(() => []);
      const unsent = active.filter((batch) => batch.app === app && batch.waiting + batch.inFlight > 0);
      return unsent.length < mostUnsentBatches;
    },
    /** The refusal of every new bulk OTP, even of reserving an id for it, or null. */
    refusesBulk: () => refusesAs('bulk'),
    /** The refusal of an OTP with this deadline, or null. `bulkOf`: the app of a bulk OTP, null for a single one. */
    refuses: (sendDeadlineSeconds: number, bulkOf: string | null) => {
      const full = refusesAs(bulkOf === null ? 'single' : 'bulk');
      if (full) return full;
      samples = samples.filter(({ at }) => now() - at < sampleKeptMs);
      const tooLateMs = expectedWaitMs(samples, now(), bulkOf) - sendDeadlineSeconds * 1_000;
      if (tooLateMs <= 0) return null;
      const retryAfterMs = Math.min(longestRetryAfterMs, tooLateMs);
      return refuse('overloaded', { reason: 'backlog', retryAfterMs });
    },
  };
}

/** Takes a sample unless the last one is younger than `ms`. The admission itself finds that Redis is away. */
function atMostEvery(ms: number, sample: (at: number) => Promise<void>): (at: number) => void {
  let sampledAt = Number.NEGATIVE_INFINITY;
  return (at) => {
    if (at - sampledAt < ms) return;
    sampledAt = at;
    sample(at).catch(() => {});
  };
}

/** The expected wait of a new OTP for its send, by the recent send rate; 0 while unknown. */
function expectedWaitMs(samples: readonly Sample[], now: number, bulkOf: string | null): number {
  const [first, last] = [samples[0], samples.at(-1)];
  const idle = samples.findLast(
    ({ backlog, linesOf }) => linesOf.size === 0 && backlog.single + backlog.bulk <= freeBacklog,
  );
  if (!first || !last || last === idle) return 0;
  const busySince = idle ?? first;
  if (last.at - busySince.at < leastSpanMs) return 0;
  const ahead = aheadOf(last, bulkOf);
  if (ahead <= freeBacklog) return 0;
  // The minute's rate tolerates a short outage of the provider; the rate since the last idle sample tolerates idleness.
  const perMs = Math.max(rate(first, last), rate(busySince, last));
  // Work continued since the last sample.
  return ahead / perMs - (now - last.at);
}

/** OTPs sent before a new one: single ones come first, and bulk alternates between apps. */
function aheadOf({ backlog: { single, bulk }, linesOf }: Sample, bulkOf: string | null): number {
  if (bulkOf === null) return single;
  const others = linesOf.size - (linesOf.has(bulkOf) ? 1 : 0);
  const all = [...linesOf.values()].reduce((sum, lines) => sum + lines, 0);
  return single + bulk + Math.min(all, (linesOf.get(bulkOf) ?? 0) * (others + 1));
}

/** At least one per span: a send may be about to end. */
function rate(from: Sample, to: Sample): number {
  return Math.max(1, to.done - from.done) / (to.at - from.at);
}

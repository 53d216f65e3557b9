import { type Refusal, refuse } from '../otp/refusal.js';
import type { Backlog } from '../queues/backlog.js';
import type { SendOtpQueue } from '../queues/send-otp.js';
import type { Load } from '../store/load.js';

/** How old the newest look at the backlog may be; one request a second takes a new one, without waiting for it. */
const lookEveryMs = 1_000;
/** The same for Redis's memory, of which bulk takes 2 MB in this time, and a small Redis has no more to spare. */
const lookAtMemoryEveryMs = 100;
/** A provider that is ill for half a minute must not make everything that waits look hopeless. */
const lookKeptMs = 60_000;
/** Over less time a rate is chance, and workers that have just started had no chance. */
const leastSpanMs = 5_000;
/** So few are never refused: a worker that has just started has them sent in a moment. */
const freeBacklog = 100;
/**
 * Shares of Redis's memory. It refuses writes at its limit, and workers must be able to finish what was accepted; what bulk
 * must leave is for single OTPs. Judged by a fresh look only.
 */
const fullest = { single: 0.9, bulk: 0.8 };
const freshMs = 2_000;
const longestRetryAfterMs = 60_000;

interface Look {
  at: number;
  backlog: Backlog;
  done: number;
}

/** Backpressure instead of lies: what could not be sent before its deadline is refused, not accepted and dropped. */
export interface Backpressure {
  /**
   * Why an OTP with this deadline cannot be taken, and when to ask again; null when it can. `bulkOf`: the app of one
   * of many, which single ones overtake; null for a single one.
   */
  refuses(sendDeadlineSeconds: number, bulkOf: string | null): Refusal | null;
  /** Why nothing may be written for a new OTP of bulk at all, not even an id kept for it. */
  refusesBulk(): Refusal | null;
}

/** Backpressure of one process, which looks at the load once a second while it is asked. */
export function createBackpressure({
  sendOtpQueue,
  load,
  now = () => performance.now(),
}: {
  sendOtpQueue: Pick<SendOtpQueue, 'backlog'>;
  load: Pick<Load, 'done' | 'memory'>;
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
}): Backpressure {
  let looks: Look[] = [];
  let memory = { share: 0, at: Number.NEGATIVE_INFINITY };
  const lookAtLine = async (at: number) => {
    const [backlog, done] = await Promise.all([sendOtpQueue.backlog(), load.done()]);
    looks = [...looks.filter((look) => at - look.at < lookKeptMs), { at, backlog, done }];
  };
  const lookAtMemory = async (at: number) => {
    memory = { share: await load.memory(), at };
  };
  const looksDue = [atMostEvery(lookEveryMs, lookAtLine), atMostEvery(lookAtMemoryEveryMs, lookAtMemory)];
  const refusesAs = (mode: keyof typeof fullest): Refusal | null => {
    for (const look of looksDue) look(now());
    const full = memory.share >= fullest[mode] && now() - memory.at < freshMs;
    return full ? refuse('overloaded', { reason: 'memory', retryAfterMs: freshMs }) : null;
  };
  return {
    refusesBulk: () => refusesAs('bulk'),
    refuses: (sendDeadlineSeconds, bulkOf) => {
      const full = refusesAs(bulkOf === null ? 'single' : 'bulk');
      if (full) return full;
      looks = looks.filter(({ at }) => now() - at < lookKeptMs);
      const tooLateMs = expectedWaitMs(looks, now(), bulkOf) - sendDeadlineSeconds * 1_000;
      if (tooLateMs <= 0) return null;
      const retryAfterMs = Math.min(longestRetryAfterMs, tooLateMs);
      return refuse('overloaded', { reason: 'backlog', retryAfterMs });
    },
  };
}

/** Takes a look unless the last one was less than `ms` ago. Redis away is found by the admission itself. */
function atMostEvery(ms: number, look: (at: number) => Promise<void>): (at: number) => void {
  let lookedAt = Number.NEGATIVE_INFINITY;
  return (at) => {
    if (at - lookedAt < ms) return;
    lookedAt = at;
    look(at).catch(() => {});
  };
}

/** How long a new OTP would wait for its call, judged by how many were done with lately; 0 while nobody can know. */
function expectedWaitMs(looks: readonly Look[], now: number, bulkOf: string | null): number {
  const [first, last] = [looks[0], looks.at(-1)];
  const idle = looks.findLast(({ backlog }) => backlog.single + backlog.bulk <= freeBacklog);
  if (!first || !last || last === idle) return 0;
  const busySince = idle ?? first;
  if (last.at - busySince.at < leastSpanMs) return 0;
  const ahead = aheadOf(last.backlog, bulkOf);
  if (ahead <= freeBacklog) return 0;
  // The minute's rate forgives a short illness; the one since there was nothing to do forgives idleness.
  const perMs = Math.max(rate(first, last), rate(busySince, last));
  // Work went on since the last look.
  return ahead / perMs - (now - last.at);
}

/** How many are sent before a new OTP: apps that have bulk take turns, and everybody's single ones come first. */
function aheadOf({ single, bulk, bulkByApp }: Backlog, bulkOf: string | null): number {
  if (bulkOf === null) return single;
  const others = bulkByApp.size - (bulkByApp.has(bulkOf) ? 1 : 0);
  return single + Math.min(bulk, (bulkByApp.get(bulkOf) ?? 0) * (others + 1));
}

/** Where nothing was done, one may have been about to be. */
function rate(from: Look, to: Look): number {
  return Math.max(1, to.done - from.done) / (to.at - from.at);
}

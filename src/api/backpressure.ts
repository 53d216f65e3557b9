import type { SendOtpQueue } from '../queues/send-otp.js';
import type { Load } from '../store/load.js';

/** How old the newest look at the load may be; one request a second takes a new one, without waiting for it. */
const lookEveryMs = 1_000;
/** A provider that is ill for half a minute must not make everything that waits look hopeless. */
const lookKeptMs = 60_000;
/** Over less time a rate is chance. */
const leastSpanMs = 15_000;
/** So few are never refused: a worker that has just started has them sent in a moment. */
const freeBacklog = 100;
/** Redis refuses writes at its limit; workers must be able to finish what was accepted. Judged by a fresh look only. */
const fullestMemory = 0.9;
const freshMs = 2_000;
const longestRetryAfterSeconds = 60;

interface Look {
  at: number;
  backlog: number;
  sent: number;
  memory: number;
}

/** Backpressure instead of lies: what could not be sent before its deadline is refused, not accepted and dropped. */
export interface Backpressure {
  /** Seconds after which to ask again, or null when an OTP with this deadline can be taken. */
  refuses(sendWithinSeconds: number): number | null;
}

export interface BackpressureDependencies {
  sendOtpQueue: Pick<SendOtpQueue, 'backlog'>;
  load: Pick<Load, 'read'>;
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
}

export function createBackpressure({
  sendOtpQueue,
  load,
  now = () => performance.now(),
}: BackpressureDependencies): Backpressure {
  let looks: Look[] = [];
  let lookedAt = Number.NEGATIVE_INFINITY;
  const look = async () => {
    const at = now();
    const [backlog, { sent, memory }] = await Promise.all([sendOtpQueue.backlog(), load.read()]);
    looks = [...looks, { at, backlog, sent, memory }];
  };
  return {
    refuses: (sendWithinSeconds) => {
      if (now() - lookedAt >= lookEveryMs) {
        lookedAt = now();
        // Redis away is found by the admission itself.
        look().catch(() => {});
      }
      looks = looks.filter(({ at }) => now() - at < lookKeptMs);
      const waitSeconds = expectedWaitSeconds(looks, now());
      if (waitSeconds <= sendWithinSeconds) return null;
      return Math.min(longestRetryAfterSeconds, Math.ceil(waitSeconds - sendWithinSeconds));
    },
  };
}

/** How long a new OTP would wait for its call, judged by how many were sent lately. */
function expectedWaitSeconds(looks: readonly Look[], now: number): number {
  const [first, last] = [looks[0], looks.at(-1)];
  if (!first || !last) return 0;
  if (last.memory >= fullestMemory && now - last.at < freshMs) return Number.POSITIVE_INFINITY;
  if (last.backlog <= freeBacklog || last.at - first.at < leastSpanMs) return 0;
  return last.backlog / ((last.sent - first.sent) / ((last.at - first.at) / 1_000));
}

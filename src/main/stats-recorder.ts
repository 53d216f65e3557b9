import { withTimeout } from '../lib/with-timeout.js';
import type { SendOtpQueue } from '../queues/send-otp.js';
import type { Store } from '../store/store.js';
import type { Tally } from '../telemetry/tally.js';
import type { Running } from './running.js';

const writeEveryMs = 5_000;
/** Of all processes one says so often how much waits. */
const lookEveryMs = 30_000;
/** On the way out, Redis is waited for no longer. */
const lastWriteMs = 2_000;

export interface StatsRecorderDependencies {
  store: Pick<Store, 'stats' | 'holdLease'>;
  queue: Pick<SendOtpQueue, 'backlog'>;
  tally: Tally;
}

/** Writes down every few seconds what this process counted, for the overview page; what Redis misses comes next time. */
export function recordStats({ store, queue, tally }: StatsRecorderDependencies): Running {
  let writing: Promise<void> | null = null;
  const write = async () => {
    const counts = tally.take();
    try {
      const looks = await store.holdLease('stats', lookEveryMs);
      const backlog = looks ? await queue.backlog() : null;
      const seen = backlog ? { waiting: backlog.single + backlog.bulk + backlog.delayed } : {};
      if (looks || Object.keys(counts).length > 0) await store.stats.add(counts, seen);
    } catch {
      tally.giveBack(counts);
    }
  };
  // A write that waits for Redis is the only one.
  const next = () => {
    writing ??= write().finally(() => {
      writing = null;
    });
    return writing;
  };
  const timer = setInterval(next, writeEveryMs);
  return {
    close: async () => {
      clearInterval(timer);
      await withTimeout((writing ?? Promise.resolve()).then(next), lastWriteMs).catch(() => {});
    },
  };
}

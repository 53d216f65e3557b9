import type { Logger } from '../lib/logger.js';
import { withTimeout } from '../lib/with-timeout.js';
import { partitionOfId, partitions } from '../otp/otp-id.js';
import type { SendOtpQueue } from '../queues/send-otp.js';
import { rangeWarning } from '../store/number-ranges.js';
import type { Store } from '../store/store.js';
import type { WaitingCount } from '../store/waiting-lines.js';

/** Lines added in one call. */
const slice = 200;
/** A slice whose shard or range does not answer is given up; the sweeper finds what was released. */
const addWithinMs = 5_000;

interface LineReleaseOptions {
  store: Pick<Store, 'waitingLines' | 'ranges'>;
  sendOtpQueue: Pick<SendOtpQueue, 'addBulk'>;
  logger: Logger;
  fraudGuardEnforces: boolean;
  onError(error: unknown): void;
}

interface Extent {
  /** Lines to release. */
  most: number;
  /** By `performance.now()`; one slice is released all the same. */
  endsAt: number;
}

/** What a turn has released so far. */
export interface Released {
  lines: number;
  /** Whether a slice could not be released. */
  failed: boolean;
  /** Until the first line whose number range is limited may be released; 0: there is none. */
  rangeWaitMs: number;
  /** By partition: lines at the end of the list that were found to wait for their number range. */
  rangeLimited: number[];
}

/** Moves lines of a batch into the send queue, slice by slice. */
export function createLineRelease(options: LineReleaseOptions) {
  const { store, sendOtpQueue, logger, fraudGuardEnforces, onError } = options;
  const { waitingLines, ranges } = store;

  /** Adds the jobs of one slice. Lines whose number range is limited wait again, behind the others. */
  const releaseSlice = async (batch: string, most: number, count: WaitingCount) => {
    const released = await waitingLines.release(batch, most, count);
    const checks = await ranges.checkReleased(released);
    const limited = released.filter((_, i) => checks[i]?.waitMs).map(({ otp }) => otp);
    const free = released.filter((_, i) => !checks[i]?.waitMs).map(({ otp }) => otp);
    for (const [i, { decision }] of checks.entries()) {
      const otp = released[i]?.otp;
      if (decision && otp) logger.warn(...rangeWarning(otp, { decision, enforced: fraudGuardEnforces }));
    }
    // The sweeper checks later those that are still queued.
    if (free.length > 0) await sendOtpQueue.addBulk(batch, free);
    if (limited.length > 0) await waitingLines.putBack(limited, 'last');
    return { free, limited, rangeWaitMs: Math.max(0, ...checks.map(({ waitMs }) => waitMs)) };
  };

  /** `count` without partitions that had no lines before: those of other shards, which must not delay this one. */
  const recount = async (batch: string, before: WaitingCount, limited: readonly number[]) => {
    const count = await waitingLines.count(batch);
    const open = withoutRangeLimited(count, limited);
    return { ...count, byPartition: open.map((lines, i) => (before.byPartition[i] ? lines : 0)) };
  };

  /** Releases lines of the partitions in `count` until so many are free, and adds them to `all`. */
  return async (batch: string, { most, endsAt }: Extent, count: WaitingCount, all: Released) => {
    const end = all.lines + most;
    for (let isFirst = true; all.lines < end && (isFirst || performance.now() < endsAt); isFirst = false) {
      const current = isFirst ? count : await recount(batch, count, all.rangeLimited);
      const releasing = releaseSlice(batch, Math.min(end - all.lines, slice), current);
      const released = await withTimeout(releasing, addWithinMs).catch((error: unknown) => {
        all.failed = true;
        onError(error);
        return null;
      });
      if (!released || released.free.length + released.limited.length === 0) break;
      all.lines += released.free.length;
      all.rangeWaitMs = Math.max(all.rangeWaitMs, released.rangeWaitMs);
      for (const { id } of released.limited) {
        const place = partitions.indexOf(partitionOfId(id) ?? '');
        all.rangeLimited[place] = (all.rangeLimited[place] ?? 0) + 1;
      }
    }
  };
}

/** The lines of each partition that were not checked since the batch last waited for number ranges. */
export function withoutRangeLimited({ byPartition }: WaitingCount, limited: readonly number[]): number[] {
  return byPartition.map((lines, i) => Math.max(0, lines - (limited[i] ?? 0)));
}

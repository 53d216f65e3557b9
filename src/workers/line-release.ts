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
}

interface Extent {
  /** Lines to release. */
  most: number;
  /** By `performance.now()`; one slice is released all the same. */
  endsAt: number;
}

/** What a release of lines came to. */
interface Released {
  lines: number;
  /** Until the first of those may be released whose number range is limited; 0: there are none. */
  heldForMs: number;
  /** Lines of each partition that were looked at and wait for their number range. */
  held: number[];
}

/** Moves lines of a batch into the send queue, slice by slice. */
export function createLineRelease({ store, sendOtpQueue, logger, fraudGuardEnforces }: LineReleaseOptions) {
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
    // The sweeper looks at those that are still queued later.
    if (free.length > 0) await sendOtpQueue.addBulk(batch, free);
    if (limited.length > 0) await waitingLines.putBack(limited, 'last');
    return { free, limited, heldForMs: Math.max(0, ...checks.map(({ waitMs }) => waitMs)) };
  };

  /** `count` without partitions that had no lines before: those of other shards, which must not hold up this one. */
  const recount = async (batch: string, { byPartition: before }: WaitingCount, held: readonly number[]) => {
    const count = await waitingLines.count(batch);
    const byPartition = withoutHeld(count, held).map((lines, i) => ((before[i] ?? 0) > 0 ? lines : 0));
    return { ...count, byPartition };
  };

  /** Releases lines of the partitions in `count` until so many are free; `before`: those that are held already. */
  return async (batch: string, { most, endsAt }: Extent, count: WaitingCount, before: readonly number[]) => {
    const all: Released = { lines: 0, heldForMs: 0, held: [...before] };
    for (let isFirst = true; all.lines < most && (isFirst || performance.now() < endsAt); isFirst = false) {
      const current = isFirst ? count : await recount(batch, count, all.held);
      const releasing = releaseSlice(batch, Math.min(most - all.lines, slice), current);
      const released = await withTimeout(releasing, addWithinMs).catch(() => null);
      if (!released || released.free.length + released.limited.length === 0) break;
      all.lines += released.free.length;
      all.heldForMs = Math.max(all.heldForMs, released.heldForMs);
      for (const { id } of released.limited) {
        const place = partitions.indexOf(partitionOfId(id) ?? '');
        all.held[place] = (all.held[place] ?? 0) + 1;
      }
    }
    return all;
  };
}

/** The lines of each partition that were not looked at since the batch last waited for number ranges. */
export function withoutHeld({ byPartition }: WaitingCount, held: readonly number[]): number[] {
  return byPartition.map((lines, i) => Math.max(0, lines - (held[i] ?? 0)));
}

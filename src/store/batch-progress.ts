import type { Status } from '../otp/otp.js';
import type { BatchFacts } from './batches.js';
import type { WaitReason } from './waiting-lines.js';

export const batchStatuses = ['scheduled', 'sending', 'paused', 'cancelled', 'finished'] as const;

/** How far a batch has got, as its counts tell. Times are ms of Redis's clock. */
export interface BatchProgress {
  status: (typeof batchStatuses)[number];
  /** Lines that wait for their release. */
  waiting: number;
  /** What they wait for; null: only their turn. */
  waitsFor: WaitReason | null;
  /** OTPs sent, or given up, in a second since the start; null before it. */
  rate: number | null;
  estimatedEnd: number | null;
}

/** An upload of which nothing came for so long is over, though its process did not say so before it ended. */
const uploadOverMs = 60_000;

/** Whether further lines may come. */
export function isUploading({ lastLineAt, uploadEndedAt }: BatchFacts, at: number): boolean {
  return (uploadEndedAt ?? 0) < lastLineAt && at - lastLineAt < uploadOverMs;
}

/** `noted`: what the last turn of the batch found that its lines wait for. */
export function progressOf(
  facts: BatchFacts,
  found: { counts: Record<Status, number>; waiting: number; noted: WaitReason | null; at: number },
): BatchProgress {
  const { counts, waiting, noted, at } = found;
  const unsent = counts.queued + counts.sending;
  const done = Object.values(counts).reduce((sum, count) => sum + count, 0) - unsent - counts.cancelled;
  const status = statusOf(facts, unsent, at);
  const forMs = facts.startedAt === null ? 0 : Math.max(1_000, (facts.finishedAt ?? at) - facts.startedAt);
  const rate = forMs > 0 ? Math.round((10_000 * done) / forMs) / 10 : null;
  // A pause or start that has ended since.
  const isOutdated = noted === 'paused' || noted === 'start';
  const reasons = {
    scheduled: 'start',
    sending: isOutdated ? null : noted,
    paused: 'paused',
    cancelled: null,
    finished: null,
  } as const;
  const waitsFor = waiting > 0 ? reasons[status] : null;
  const speeds = [rate, facts.perSecond].filter((speed) => speed !== null && speed > 0) as number[];
  const isReleased = status === 'sending' && (waitsFor === null || waitsFor === 'pace');
  const from = status === 'scheduled' ? facts.startAt : isReleased ? at : null;
  const canEstimate = from !== null && speeds.length > 0 && unsent > 0;
  const estimatedEnd = canEstimate ? Math.round(from + (1_000 * unsent) / Math.min(...speeds)) : null;
  return { status, waiting, waitsFor, rate, estimatedEnd };
}

function statusOf(facts: BatchFacts, unsent: number, at: number): BatchProgress['status'] {
  if (facts.cancelledAt !== null) return 'cancelled';
  if (unsent === 0 && (facts.finishedAt !== null || !isUploading(facts, at))) return 'finished';
  if (facts.paused) return 'paused';
  return (facts.startAt ?? 0) > at ? 'scheduled' : 'sending';
}

/** Batches of an app go in this order. */
export function orderOf({ startAt, createdAt }: BatchFacts): number {
  return Math.max(startAt ?? 0, createdAt);
}

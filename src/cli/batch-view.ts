import type { Batch } from 'isms-otp-client';
import { counted, rows } from './rows.js';

/** A batch as people read it: how many of its OTPs have which status. */
export function batchText(batch: Batch): string {
  return rows([
    ['batch', batch.id],
    ['created', batch.createdAt],
    ['lines', counted(batch.lines)],
    ...statusCounts(batch).map(([status, count]) => [status, counted(count)] as const),
    ['cancelled', batch.cancelled ? 'yes: nothing of it is sent any more' : null],
  ]);
}

/** The same in one line. */
export function batchLine(batch: Batch): string {
  const counts = statusCounts(batch).map(([status, count]) => `${counted(count)} ${status}`);
  return counts.length === 0 ? 'nothing accepted' : counts.join(', ');
}

/** Whether nothing of it waits to be sent. */
export function isThrough({ counts }: Batch): boolean {
  return counts.queued + counts.sending === 0;
}

function statusCounts({ counts }: Batch): [string, number][] {
  return Object.entries(counts).filter(([, count]) => count > 0);
}

import type { Batch, BatchWaitReason, Otp } from 'isms-otp-client';
import { reasonText } from './failure.js';

/** Formats names and values in two columns, without the pairs that have no value. */
export function rows(pairs: readonly (readonly [string, string | number | null])[]): string {
  const shown = pairs.filter(([, value]) => value !== null && value !== '');
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

/** Formats lines of cells in columns. */
export function table(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, i) => Math.max(...lines.map((cells) => cells[i]?.length ?? 0)));
  const padded = lines.map((cells) => cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)));
  return padded.map((cells) => cells.join('  ').trimEnd()).join('\n');
}

/** Formats a count with thousands separators. */
export function counted(n: number): string {
  return n.toLocaleString('en-US');
}

/** Formats an OTP, with the next command to run. */
export function otpText(otp: Otp): string {
  return rows([
    ['id', otp.id],
    ['status', otp.status],
    ['to', otp.to],
    ['reference', otp.reference],
    ['purpose', otp.purpose],
    ['sent', otp.sentAt],
    ['send before', isWaiting(otp) ? otp.sendDeadline : null],
    ['expires', otp.expiresAt],
    ['attempts left', otp.status === 'sent' ? otp.attemptsRemaining : null],
    ['failure', otp.failure && reasonText(otp.failure)],
    ['next', nextCommand(otp)],
  ]);
}

const isWaiting = ({ status }: Otp) => status === 'queued' || status === 'sending';

function nextCommand(otp: Otp): string | null {
  if (otp.status === 'sent') return `isms-otp verify ${otp.id} <code>`;
  return isWaiting(otp) ? `isms-otp status ${otp.id} --watch` : null;
}

/** Whether the status of an OTP is final. */
export function hasEnded({ status }: Otp): boolean {
  return !['queued', 'sending', 'sent'].includes(status);
}

const waitTexts: Record<BatchWaitReason | 'turn', string> = {
  start: 'for the start',
  paused: 'until the batch is resumed',
  app_paused: 'until the operator resumes the app',
  pace: 'for the limit per second',
  earlier_batch: 'for an earlier batch',
  number_range: 'for number ranges that the toll-fraud guard limits',
  turn: 'for their turn',
};

/** Formats a batch, with the number of OTPs per status. */
export function batchText(batch: Batch): string {
  return rows([
    ['batch', batch.id],
    ['name', batch.name],
    ['status', batch.status],
    ['created', batch.createdAt],
    ['starts', batch.status === 'scheduled' ? batch.startAt : null],
    ['started', batch.startedAt],
    ['finished', batch.finishedAt],
    ['estimated end', batch.estimatedEnd],
    ['rate', batch.rate === null ? null : `${batch.rate} a second`],
    ['limit', batch.perSecond === null ? null : `${counted(batch.perSecond)} a second`],
    ['lines', counted(batch.lines)],
    [
      'waiting',
      batch.waiting === 0 ? null : [counted(batch.waiting), waitTexts[batch.waitsFor ?? 'turn']].join(' '),
    ],
    ...statusCounts(batch).map(([status, count]) => [status, counted(count)] as const),
    ['cancelled', batch.cancelled ? 'yes: its waiting OTPs are not sent' : null],
  ]);
}

/** Formats a batch in one line. */
export function batchLine(batch: Batch): string {
  const counts = statusCounts(batch).map(([status, count]) => `${counted(count)} ${status}`);
  return counts.length === 0 ? 'nothing accepted' : counts.join(', ');
}

/** Whether no OTP of a batch waits to be sent. */
export function isSent({ counts }: Batch): boolean {
  return counts.queued + counts.sending === 0;
}

function statusCounts({ counts }: Batch): [string, number][] {
  return Object.entries(counts).filter(([, count]) => count > 0);
}

import { type CallOptions, callFacts, query } from './calls.js';
import { type Caller, holdsList } from './request.js';
import type { BalanceSnapshot, Batch, BatchOtp, BatchStatus, Otp, OtpStatus, Stats } from './types.js';

/** Options of `listOtps`; `timeoutMs` is that of one page. */
export interface ListOtpsOptions extends CallOptions {
  /** Lists only OTPs that have this status now. */
  status?: OtpStatus;
  /** Lists only OTPs with this purpose. */
  purpose?: string;
  /** Lists only OTPs of the batch with this id, last lines first. */
  batch?: string;
  /** Lists only OTPs accepted since this time. */
  since?: Date | string;
  /** Lists only OTPs accepted before this time. */
  until?: Date | string;
  /** OTPs per page, 1 to 500. Default: 100. */
  limit?: number;
}

/** Options of `listBatches`; `timeoutMs` is that of one page. */
export interface ListBatchesOptions extends CallOptions {
  /** Lists only batches with this status. */
  status?: BatchStatus;
  /** Lists only batches created since this time. */
  since?: Date | string;
  /** Lists only batches created before this time. */
  until?: Date | string;
  /** Batches per page, 1 to 100. Default: 20. */
  limit?: number;
}

/** Options of `listBatch`; `timeoutMs` is that of one page. */
export interface ListBatchOptions extends CallOptions {
  /** Lists only OTPs with this status. */
  status?: OtpStatus;
  /** OTPs per page, 1 to 500. Default: 100. */
  limit?: number;
}

/** Options of `balanceHistory`; `timeoutMs` is that of one page. */
export interface HistoryOptions extends CallOptions {
  /** Time of the oldest snapshot. */
  since?: Date | string;
  /** Lists only snapshots before this time. */
  until?: Date | string;
}

/** Options of `stats`. */
export interface StatsOptions extends CallOptions {
  /** Groups of the rows. Default: `status`, no groups. */
  by?: Stats['by'];
  /** Start, at most 35 days ago, with steps of 5 minutes 2 days. Default: 24 hours before `until`. */
  since?: Date | string;
  /** End, exclusive. Default: now. */
  until?: Date | string;
  /** Time that a row covers. Default: `1h`. */
  step?: Stats['step'];
}

/** The largest page of the gateway. */
const snapshotsAtATime = 1_000;

/** Lists all OTPs of an app. */
export function otpsPages(
  call: Caller,
  { status, purpose, batch, since, until, limit, ...options }: ListOtpsOptions,
): AsyncGenerator<Otp, void> {
  const asked = { status, purpose, batch, since: timeText(since), until: timeText(until), limit };
  return cursorPages(call, { path: '/v1/otps', name: 'otps', asked, options });
}

/** Lists all OTPs of a path. */
export function batchPages(
  call: Caller,
  path: string,
  { status, limit, ...options }: ListBatchOptions,
): AsyncGenerator<BatchOtp, void> {
  return cursorPages(call, { path, name: 'otps', asked: { status, limit }, options });
}

/** Lists all batches of an app. */
export function batchesPages(
  call: Caller,
  { status, since, until, limit, ...options }: ListBatchesOptions,
): AsyncGenerator<Batch, void> {
  const asked = { status, since: timeText(since), until: timeText(until), limit };
  return cursorPages(call, { path: '/v1/batches', name: 'batches', asked, options });
}

/** Lists all items of this name, page by page. */
async function* cursorPages<T>(
  call: Caller,
  list: { path: string; name: string; asked: Parameters<typeof query>[0]; options: CallOptions },
): AsyncGenerator<T, void> {
  const { path, name, asked, options } = list;
  let cursor: string | undefined;
  for (;;) {
    const page: { next: string | null } & Record<string, unknown> = await call(
      { method: 'GET', path: path + query({ ...asked, cursor }), rule: 'repeatable', ...callFacts(options) },
      holdsList(name),
    );
    yield* page[name] as T[];
    if (page.next === null) return;
    cursor = page.next;
  }
}

/** Lists all snapshots of a path. */
export async function* balancePages(
  call: Caller,
  path: string,
  { since, until, ...options }: HistoryOptions,
): AsyncGenerator<BalanceSnapshot, void> {
  const from = timeText(since);
  let before = timeText(until);
  for (;;) {
    const asked = query({ since: from, until: before, limit: snapshotsAtATime });
    const page: { snapshots: BalanceSnapshot[]; next: string | null } = await call(
      { method: 'GET', path: path + asked, rule: 'repeatable', ...callFacts(options) },
      holdsList('snapshots'),
    );
    yield* page.snapshots;
    if (page.next === null) return;
    before = page.next;
  }
}

/** A time as the gateway reads it. */
export function timeText(time: Date | string | undefined): string | undefined {
  return time instanceof Date ? time.toISOString() : time;
}

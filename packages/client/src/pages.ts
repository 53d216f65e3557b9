import { type CallOptions, callFacts, query } from './calls.js';
import { type Caller, holdsList } from './request.js';
import type { BalanceSnapshot, BatchOtp, OtpStatus } from './types.js';

/** Options of `listBatch`; `timeoutMs` is that of one page. */
export interface ListOptions extends CallOptions {
  /** Lists only OTPs with this status. */
  status?: OtpStatus;
  /** OTPs per page, 1 to 1,000. Default: 100. */
  limit?: number;
}

/** Options of `balanceHistory`; `timeoutMs` is that of one page. */
export interface HistoryOptions extends CallOptions {
  /** Time of the oldest snapshot. */
  since?: Date | string;
  /** Lists only snapshots before this time. */
  until?: Date | string;
}

/** The largest page of the gateway. */
const snapshotsAtATime = 1_000;

/** Lists all OTPs of a path. */
export async function* batchPages(
  call: Caller,
  path: string,
  { status, limit, ...options }: ListOptions,
): AsyncGenerator<BatchOtp, void> {
  let cursor: string | undefined;
  for (;;) {
    const asked = query({ status, limit, cursor });
    const page: { otps: BatchOtp[]; next: string | null } = await call(
      { method: 'GET', path: path + asked, rule: 'repeatable', ...callFacts(options) },
      holdsList('otps'),
    );
    yield* page.otps;
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

function timeText(time: Date | string | undefined): string | undefined {
  return time instanceof Date ? time.toISOString() : time;
}

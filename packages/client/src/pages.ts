import { type CallOptions, callFacts, query } from './calls.js';
import { holdsList } from './checks.js';
import type { Caller } from './request.js';
import type { BalanceSnapshot, BatchOtp, OtpStatus } from './types.js';

/** What a list of a batch takes; time-outs are those of one page. */
export interface ListOptions extends CallOptions {
  /** Only those that have it now. */
  status?: OtpStatus;
  /** OTPs asked for at a time, 1 to 1,000. Default: the gateway's, 100. */
  limit?: number;
}

/** What a balance history takes; time-outs are those of one page. */
export interface HistoryOptions extends CallOptions {
  since?: Date | string;
  until?: Date | string;
}

/** The most that the gateway gives at a time. */
const snapshotsAtATime = 1_000;

/** All OTPs that this path lists. */
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

/** All snapshots that this path lists. */
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

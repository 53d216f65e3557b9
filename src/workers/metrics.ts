import type { EventType } from '../otp/event.js';
import type { FailureCode } from '../otp/failure.js';
import type { Lane } from '../otp/otp.js';
import type { UnsentReason } from '../otp/outcome.js';
import type { Status } from '../otp/states.js';

/** What workers count. Labels are few: apps, countries, stable codes; never anything of one OTP. */
export interface WorkerMetrics {
  /** iSMS took the SMS; `waitedSeconds` from admission, null where the OTP was cancelled meanwhile. */
  sent(otp: { app: string; country: string; lane: Lane; waitedSeconds: number | null }): void;
  /** It ended without an SMS, and why. */
  failed(app: string, code: FailureCode): void;
  /** It ended without anybody knowing whether there was an SMS. */
  unknown(app: string): void;
  /** A call that was proven not to have happened is made again. */
  retried(reason: UnsentReason): void;
  /** One attempt to tell a webhook. */
  delivered(event: EventType, ok: boolean): void;
  /** A refusal in words that are in no table. */
  unrecognised(call: 'send'): void;
  /** A call that may have left, after an earlier one that may have left, too. */
  resent(app: string): void;
}

/** Counts the end of an OTP that was not a good one; everything else is no end, or counted elsewhere. */
export function countEnd(
  metrics: Pick<WorkerMetrics, 'failed' | 'unknown'>,
  { app, status, failure }: { app: string; status: Status; failure: FailureCode | null },
): void {
  if (status === 'unknown') metrics.unknown(app);
  else if (status === 'failed') metrics.failed(app, failure ?? 'rejected');
  else if (status === 'expired' && failure === 'not_sent_in_time') metrics.failed(app, failure);
}

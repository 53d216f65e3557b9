import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq';
import type { Logger } from '../lib/logger.js';
import type { CountedOtp } from '../lib/tally.js';
import type { EventType } from '../otp/event.js';
import { type FailureCode, failureMessages, isPending, type Lane, type Otp } from '../otp/otp.js';
import { backoffMs, type SendOutcome, type UnsentReason } from '../otp/outcome.js';
import type { SendOtpResult } from '../queues/send-otp.js';
import type { SettledSend } from '../store/send-attempts.js';

/*
 * Translates outcomes for BullMQ: a job completes with the provider's ids, fails for good with the reason, is delayed, or
 * goes back into the queue. The last two cost none of the job's attempts.
 */

/** Ends the job of an ended OTP: returns its ids, or throws a final failure with the reason. */
export function endJob(otp: Pick<Otp, 'failure' | 'uuid' | 'smsId'>): SendOtpResult {
  if (otp.failure !== null) throw new UnrecoverableError(`${otp.failure}: ${failureMessages[otp.failure]}`);
  return { uuid: otp.uuid, smsId: otp.smsId };
}

/** Backoff of at most 8 s. */
const longestBudgetWait = 4;

/** After a settled send: ends the job, or delays it for the next send. */
export async function afterSend(
  job: Job,
  lockToken: string,
  { settled, outcome, attempt }: { settled: SettledSend; outcome: SendOutcome; attempt: number },
): Promise<SendOtpResult> {
  const { otp, tries, sendDeadlineInMs } = settled;
  if (!isPending(otp.status)) return endJob(otp);
  // A call that the budget refuses counts as no try; its delay grows all the same, to spare Redis.
  const isRefused = outcome.kind === 'unsent' && outcome.reason === 'retry_budget';
  const waits = isRefused ? Math.min(attempt, longestBudgetWait) : Math.max(1, tries);
  return await delay(job, lockToken, backoffMs(waits, sendDeadlineInMs));
}

/** Delays the job; the OTP's record then decides what follows. */
export async function delay(job: Job, lockToken: string, delayMs: number): Promise<never> {
  await job.moveToDelayed(Date.now() + delayMs, lockToken);
  throw new DelayedError();
}

/** Puts the job back into its place in the queue while sending is paused. */
export async function requeue(job: Job, lockToken: string): Promise<never> {
  await job.moveToWait(lockToken);
  throw new WaitingError();
}

/** The call limit is used up: the queue hands out no job for `waitMs`, and then this one first. */
export class CallLimitReached extends Error {
  constructor(readonly waitMs: number) {
    super('call limit reached');
  }
}

/** Ends the job of an OTP whose record was deleted. */
export function failMissingRecord(): never {
  throw new UnrecoverableError('record_gone: the OTP is no longer kept, so nothing was sent');
}

/** Ends the job of an OTP whose record is broken, without a retry. */
export function failUnreadableRecord(): never {
  throw new UnrecoverableError('record_unreadable: the record of the OTP is broken, so nothing was sent');
}

const retryBaseMs = 200;
const retryCapMs = 10_000;

/** BullMQ's backoff for trouble of our own (Redis away, a bug): jittered, never long, ended by the OTP's deadline. */
export function retryDelayMs(attemptsMade: number): number {
  return Math.floor(Math.random() * Math.min(retryCapMs, retryBaseMs * 2 ** Math.min(attemptsMade, 10)));
}

/**
 * Keeps stacks out of Redis, where each try would add one and Bull Board would show it. Logs unexpected errors instead.
 */
export async function withoutStacks<T>(logger: Logger, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (!isControl(error))
      logger.error({ event: 'job.failed', err: error }, 'Unhandled error in a job: report it as a bug');
    throw withoutStack(error);
  }
}

function isControl(error: Error): boolean {
  return [DelayedError, WaitingError, CallLimitReached, UnrecoverableError].some(
    (kind) => error instanceof kind,
  );
}

/** The error without what BullMQ would write into Redis. */
export function withoutStack<E extends Error>(error: E): E {
  error.stack = '';
  return error;
}

/** The counters of workers. Labels are apps, countries and stable codes, never values of one OTP. */
export interface WorkerMetrics {
  /** iSMS accepted the SMS. */
  sent(otp: Otp, lane: Lane): void;
  /** The OTP ended without an SMS. */
  failed(otp: CountedOtp, code: FailureCode): void;
  /** The OTP ended, and an SMS may have been sent. */
  unknown(otp: CountedOtp): void;
  /** A call that is proven unsent is made again. */
  retried(reason: UnsentReason): void;
  /** One attempt to deliver an event. */
  delivered(event: EventType, ok: boolean): void;
  /** A refusal that the reply table does not know. */
  unrecognised(call: 'send'): void;
  /** A call that may be the second SMS of its OTP. */
  resent(app: string): void;
}

/** Counts the end of an OTP without a known SMS. */
export function countEnd(
  metrics: Pick<WorkerMetrics, 'failed' | 'unknown'>,
  otp: CountedOtp & Pick<Otp, 'status' | 'failure'>,
): void {
  const { status, failure } = otp;
  if (status === 'unknown') metrics.unknown(otp);
  else if (status === 'failed') metrics.failed(otp, failure ?? 'rejected');
  else if (status === 'expired' && failure === 'not_sent_in_time') metrics.failed(otp, failure);
}

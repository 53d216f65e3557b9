import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq';
import type { Logger } from '../lib/logger.js';
import { backoffMs } from '../otp/backoff.js';
import { failureMessages } from '../otp/failure.js';
import type { Otp } from '../otp/otp.js';
import type { SendOutcome } from '../otp/outcome.js';
import { isPending } from '../otp/states.js';
import type { SendOtpResult } from '../queues/send-otp.js';
import type { SettledSend } from '../store/send-attempts.js';

/*
 * The one place that puts outcomes into BullMQ's language: a job completes with the provider's ids, fails for good
 * with the reason, waits until a moment, or goes back into the line. The last two cost none of the job's attempts.
 */

/** Ends the job of an OTP that ended: its ids, or a final failure that names the reason. */
export function finish(otp: Pick<Otp, 'failure' | 'uuid' | 'smsId'>): SendOtpResult {
  if (otp.failure !== null) throw new UnrecoverableError(`${otp.failure}: ${failureMessages[otp.failure]}`);
  return { uuid: otp.uuid, smsId: otp.smsId };
}

/** Backoff of at most 8 s. */
const longestBudgetWait = 4;

/** After a settled send: finished, or back for a next one. */
export async function afterSend(
  job: Job,
  lockToken: string,
  { settled, outcome, attempt }: { settled: SettledSend; outcome: SendOutcome; attempt: number },
): Promise<SendOtpResult> {
  const { otp, tries, sendDeadlineInMs } = settled;
  if (!isPending(otp.status)) return finish(otp);
  // What the budget refuses has used no further try; it asks ever less often all the same, to spare Redis.
  const refused = outcome.kind === 'deferred' && outcome.reason === 'retry_budget';
  const waits = refused ? Math.min(attempt, longestBudgetWait) : Math.max(1, tries);
  return await delay(job, lockToken, backoffMs(waits, sendDeadlineInMs));
}

/** Lets the job wait; what comes next is decided by the OTP's record then. */
export async function delay(job: Job, lockToken: string, delayMs: number): Promise<never> {
  await job.moveToDelayed(Date.now() + delayMs, lockToken);
  throw new DelayedError();
}

/** Puts the job back into the line while sending is paused. */
export async function park(job: Job, lockToken: string): Promise<never> {
  await job.moveToWait(lockToken);
  throw new WaitingError();
}

/** The job of an OTP that may not be called for yet: its queue hands out none for so long, and this one first then. */
export class CallsUsedUp extends Error {
  constructor(readonly waitMs: number) {
    super('calls used up');
  }
}

/** A job whose record is gone has nothing left to do. */
export function gone(): never {
  throw new UnrecoverableError('record_gone: the OTP is no longer kept, so nothing was sent');
}

/** A job whose record is broken can never be done, so that no retry is made. */
export function unreadable(): never {
  throw new UnrecoverableError('record_unreadable: the record of the OTP is broken, so nothing was sent');
}

const retryBaseMs = 200;
const retryCapMs = 10_000;

/** BullMQ's backoff for trouble of our own (Redis away, a bug): jittered, never long, ended by the OTP's deadline. */
export function retryDelayMs(attemptsMade: number): number {
  return Math.floor(Math.random() * Math.min(retryCapMs, retryBaseMs * 2 ** Math.min(attemptsMade, 10)));
}

/**
 * Keeps stacks out of Redis, where each try would add one and Bull Board would show it; what nothing foresees is
 * logged instead.
 */
export async function withoutStacks<T>(logger: Logger, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (!isControl(error))
      logger.error({ event: 'job.failed', err: error }, 'a job failed in a way that nothing foresees');
    throw withoutStack(error);
  }
}

function isControl(error: Error): boolean {
  return [DelayedError, WaitingError, CallsUsedUp, UnrecoverableError].some((kind) => error instanceof kind);
}

/** The error without what BullMQ would write into Redis. */
export function withoutStack<E extends Error>(error: E): E {
  error.stack = '';
  return error;
}

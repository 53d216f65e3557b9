import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../lib/logger.js';
import type { Lane } from '../otp/otp.js';
import { randomText } from '../otp/otp-id.js';
import { type SendOutcome, spendsRetry } from '../otp/outcome.js';
import { type CallWindow, momentIn, type Provider } from '../otp/provider.js';
import { type SendOtpJob, type SendOtpResult, sendOtpPayload } from '../queues/send-otp.js';
import type { NumberLists } from '../store/number-lists.js';
import type { SendAttempts, SendClaim, SettledSend, Unclaimed } from '../store/send-attempts.js';
import type { AppGate, AppPermit } from './app-gate.js';
import type { Credits } from './balance.js';
import type { CallLimit, createAppCallLimit } from './call-limit.js';
import {
  afterSend,
  CallLimitReached,
  countEnd,
  delay,
  endJob,
  failMissingRecord,
  failUnreadableRecord,
  requeue,
  type WorkerMetrics,
} from './job-control.js';
import type { JobGate } from './job-gate.js';
import type { PauseGate } from './pause-gate.js';

/** A claimed send must leave within this time: a process that was frozen after its claim must not send minutes late. */
const leaveWithinMs = 1_000;
/** How long an outcome is offered to a Redis that is away or full; after that the sweeper decides. */
const settleForMs = 600_000;
const settleRetryMs = { first: 250, withinAttempt: 500, longest: 5_000 };

/**
 * Milliseconds until Redis is offered an outcome again. While the attempt lasts at most 500, since reads take the outcome
 * for unknown from its end on (ADR 11); after that twice as long each time, at most 5 s.
 */
export function settleDelayMs(waitedMs: number, attemptLeftMs: number): number {
  const { first, withinAttempt, longest } = settleRetryMs;
  return Math.min(Math.max(first, 2 * waitedMs), attemptLeftMs > 0 ? withinAttempt : longest);
}

/** How long an OTP with an unrecognised refusal waits until it is classified again. */
const classifiedAgainAfterMs = 1_000;
/** How long OTPs of an app on hold wait: long for bulk, so that a million of them ask Redis rarely. */
const onHoldMs = { single: { least: 2_000, most: 5_000 }, bulk: { least: 30_000, most: 90_000 } };
/** How long OTPs wait while their app's calls are made one at a time. */
const busyMs = { least: 500, most: 1_500 };
/** How long an OTP that failed a trial waits, so that others are tried first. */
const triedAgainAfterMs = 10_000;
/** How long an OTP waits for a top-up. */
const creditsWaitMs = { least: 15_000, most: 30_000 };
/** Deadline of the balance call after a refusal, besides the attempt's own. */
const balanceWithinMs = 5_000;

export interface SendOtpDependencies {
  sendAttempts: SendAttempts;
  numberLists: Pick<NumberLists, 'refresh' | 'listOf'>;
  provider: Provider;
  jobGate: Pick<JobGate, 'closed' | 'trackJob' | 'note'>;
  pauseGate: Pick<PauseGate, 'state' | 'report' | 'noteCall' | 'noteAccepted'>;
  appGate: Omit<AppGate, 'sync' | 'syncEveryMs'>;
  credits: Credits;
  /** Null where calls are not limited. */
  callLimit: CallLimit | null;
  appCallLimit: ReturnType<typeof createAppCallLimit>;
  sendTimeoutMs: number;
  logger: Logger;
  metrics: WorkerMetrics;
}

/** The processor of `otp-send`: claim, call, settle. If BullMQ runs a job twice, the claim allows one call. */
export function createSendOtpProcessor(dependencies: SendOtpDependencies) {
  const { jobGate } = dependencies;
  return async (job: SendOtpJob, lockToken = ''): Promise<SendOtpResult> =>
    await jobGate.trackJob(() => processJob(dependencies, job, lockToken));
}

async function processJob(
  dependencies: SendOtpDependencies,
  job: SendOtpJob,
  lockToken: string,
): Promise<SendOtpResult> {
  const { jobGate, appGate, sendAttempts } = dependencies;
  if (jobGate.closed) return await requeue(job, lockToken);
  const { id, app } = sendOtpPayload.parse(job.data);
  if (appGate.isClosed(app)) {
    // No job of the app reaches the claim, which finds ended OTPs: they must end all the same, and use up no trial.
    const found = await sendAttempts.peek(id);
    if (found) return await endOrWait(dependencies, { job, lockToken }, found);
  }
  const permit = await appGate.acquire(app);
  if (permit === 'paused') {
    const least = appGate.pausedWaitMs();
    return await delay(job, lockToken, between({ least, most: 2 * least }));
  }
  if (permit === 'busy') return await delay(job, lockToken, between(busyMs));
  if (permit === 'on_hold') return await delay(job, lockToken, between(onHoldMs[laneOf(job)]));
  try {
    return await processPermitted(dependencies, { job, lockToken, permit });
  } finally {
    await permit.release(false);
  }
}

async function processPermitted(
  dependencies: SendOtpDependencies,
  permitted: { job: SendOtpJob; lockToken: string; permit: AppPermit },
): Promise<SendOtpResult> {
  const { sendAttempts, sendTimeoutMs, callLimit, appCallLimit } = dependencies;
  const { job, lockToken, permit } = permitted;
  const ofApp = await appCallLimit.take(job.data.app);
  if (typeof ofApp === 'number') return await delay(job, lockToken, ofApp);
  const taken = await callLimit?.take(job);
  if (typeof taken === 'number') {
    await ofApp();
    throw new CallLimitReached(taken);
  }
  const giveBackCall = async () => {
    await Promise.all([taken?.(), ofApp()]);
  };
  const began = performance.now();
  // Counted from before the claim, so that the call ends before its lease does.
  const window = { leaveBy: momentIn(leaveWithinMs), endBy: began + sendTimeoutMs };
  const result = await sendAttempts.claim(job.data.id, randomText());
  if (result.kind !== 'claimed') {
    await giveBackCall();
    return await endOrWait(dependencies, permitted, result);
  }
  return await sendClaimed(dependencies, {
    job,
    lockToken,
    permit,
    claim: result.claim,
    giveBackCall,
    window,
    attemptEndsBy: began + result.claim.leaseMs,
  });
}

/** Finishes or delays the job of an OTP that cannot be claimed. */
async function endOrWait(
  { logger, metrics }: SendOtpDependencies,
  { job, lockToken }: { job: SendOtpJob; lockToken: string },
  result: Unclaimed,
): Promise<SendOtpResult> {
  switch (result.kind) {
    case 'missing':
      return failMissingRecord();
    case 'unreadable':
      logger.error(
        { event: 'otp.unreadable', otpId: job.data.id },
        'the record of an OTP cannot be read, so it is not sent',
      );
      return failUnreadableRecord();
    case 'ended':
      if (result.now) countEnd(metrics, result.otp);
      return endJob(result.otp);
    case 'in_flight':
      return await delay(job, lockToken, result.remainingMs);
  }
}

interface ClaimedSend {
  job: SendOtpJob;
  lockToken: string;
  permit: AppPermit;
  claim: SendClaim;
  /** Gives back what the call would have used of the limit of calls. */
  giveBackCall: () => Promise<void>;
  window: CallWindow;
  /** `performance.now()`. */
  attemptEndsBy: number;
}

async function sendClaimed(dependencies: SendOtpDependencies, send: ClaimedSend): Promise<SendOtpResult> {
  const { jobGate, metrics, appGate, pauseGate } = dependencies;
  const { job, lockToken, claim } = send;
  const isTrial = pauseGate.state === 'trial';
  const decided = await decideWithoutCall(dependencies, send);
  const outcome = decided ?? (await call(dependencies, send));
  // iSMS is not called for a test number: its success says nothing about iSMS.
  if (!decided && !claim.otp.isTest) jobGate.note(outcome);
  if (outcome.kind === 'accepted' && !claim.otp.isTest) {
    appGate.noteAccepted({ app: claim.otp.app, claimedAt: claim.claimedAt });
    pauseGate.noteAccepted(claim.claimedAt);
  }
  if (!decided) noteRefusal(dependencies, claim, outcome);
  const called = !decided && wasCalled(claim, outcome);
  // The limit forgets within a second what Redis does not take.
  if (!called) send.giveBackCall().catch(() => {});
  const released = send.permit.release(called);
  const settled = await settle(dependencies, send, outcome);
  if (!settled) return failMissingRecord();
  if (!decided) countSend(metrics, send, { outcome, settled });
  else if (settled.changed) countEnd(metrics, settled.otp);
  if (outcome.kind === 'account_trouble') {
    await pauseGate.report({ trouble: outcome.trouble, claimedAt: claim.claimedAt });
  }
  await released;
  const wait = settled.otp.status === 'queued' ? requeueDelay(outcome, isTrial) : null;
  if (wait === 'requeue') return await requeue(job, lockToken);
  if (wait !== null) return await delay(job, lockToken, wait);
  return await afterSend(job, lockToken, { settled, outcome, attempt: claim.attempt });
}

/** The outcome without a call: the number is denied, an earlier refusal final or undecided, or the balance cannot pay. */
async function decideWithoutCall(
  { appGate, credits, numberLists }: SendOtpDependencies,
  { claim: { refusal, otp }, permit }: ClaimedSend,
): Promise<SendOutcome | null> {
  // It was accepted before its number was denied.
  await numberLists.refresh();
  if (numberLists.listOf(otp.app, otp.to) === 'deny')
    return { kind: 'rejected', failure: 'recipient_denied' };
  if (refusal) {
    const refusalClass = await appGate.classifyRefusal(otp.app, refusal);
    // It was refused for lack of credits, and the balance could pay a moment later: the account was topped up in between.
    const mayBeToppedUp = refusal.failure === 'insufficient_credits' && refusal.claimedAt === refusal.firstAt;
    if (refusalClass === 'final' && !mayBeToppedUp) return { kind: 'rejected', failure: refusal.failure };
    if (refusalClass === 'held' && !permit.trial) return { kind: 'unsent', reason: 'refusal_undecided' };
  }
  if (otp.isTest || credits.cover(otp.credits)) return null;
  return { kind: 'unsent', reason: 'insufficient_credits' };
}

/** Makes the call. A refusal for lack of credits is checked against the balance. */
async function call(
  { provider, pauseGate, credits }: SendOtpDependencies,
  { claim, window }: ClaimedSend,
): Promise<SendOutcome> {
  const { otp } = claim;
  pauseGate.noteCall();
  const outcome = await provider.send({ ...otp, callNumber: claim.tries + 1 }, window);
  if (outcome.kind !== 'account_trouble' || outcome.trouble !== 'insufficient_credits') return outcome;
  return await credits.judgeRefusal(otp.credits, Math.min(balanceWithinMs, window.endBy - performance.now()));
}

function countSend(
  metrics: WorkerMetrics,
  { job, claim }: ClaimedSend,
  { outcome, settled: { otp, changed } }: { outcome: SendOutcome; settled: SettledSend },
): void {
  const { app } = otp;
  const left = outcome.kind !== 'unsent' && outcome.kind !== 'account_trouble';
  if (left && claim.resends > 0) metrics.resent(app);
  // An OTP to a test number is not paid for.
  if (outcome.kind === 'accepted' && !otp.isTest) {
    metrics.sent(otp, laneOf(job));
  } else if (outcome.kind === 'unsent' && otp.status === 'queued') metrics.retried(outcome.reason);
  if (changed) countEnd(metrics, otp);
}

/** Whether iSMS was called. */
function wasCalled({ otp }: SendClaim, outcome: SendOutcome): boolean {
  return !otp.isTest && (outcome.kind !== 'unsent' || spendsRetry(outcome.reason));
}

/** Unrecognised refusals in a row put the app on hold, also those that end their OTP. */
function noteRefusal(
  { appGate, metrics }: SendOtpDependencies,
  { otp, claimedAt }: SendClaim,
  outcome: SendOutcome,
): void {
  const text = 'text' in outcome ? outcome.text : undefined;
  if (text === undefined) return;
  metrics.unrecognised('send');
  appGate.noteRefusal({ app: otp.app, to: otp.to, claimedAt, text });
}

/**
 * How long a queued OTP waits, in ms, if its outcome decides that. `requeue`: its job keeps its place in the queue, since
 * the job gate is closed until the trouble is over.
 */
function requeueDelay(outcome: SendOutcome, isTrial: boolean): number | 'requeue' | null {
  switch (outcome.kind) {
    case 'account_trouble':
      return isTrial ? triedAgainAfterMs : 'requeue';
    case 'unrecognised':
      return classifiedAgainAfterMs;
    case 'unsent':
      if (outcome.reason === 'circuit_open') return 'requeue';
      if (outcome.reason === 'refusal_undecided') return classifiedAgainAfterMs;
      return outcome.reason === 'insufficient_credits' ? between(creditsWaitMs) : null;
    default:
      return null;
  }
}

/** Jittered, so that OTPs that wait together do not come back together. */
function between({ least, most }: { least: number; most: number }): number {
  return least + Math.floor(Math.random() * (most - least));
}

/** Bulk jobs have a priority in BullMQ. */
function laneOf({ priority }: SendOtpJob): Lane {
  return priority > 0 ? 'bulk' : 'single';
}

/** Retries until Redis takes the outcome: losing it would turn a known send into an unknown one. */
async function settle(
  { sendAttempts, logger }: SendOtpDependencies,
  { claim, attemptEndsBy }: ClaimedSend,
  outcome: SendOutcome,
): Promise<SettledSend | null> {
  const { otp, attempt } = claim;
  const about = { otpId: otp.id, attempt, outcome: outcome.kind, ...detail(outcome) };
  const until = performance.now() + settleForMs;
  for (let waitMs = 0; ; ) {
    try {
      const settled = await sendAttempts.settle(claim, outcome);
      logger.info({ event: 'otp.send_settled', ...about, status: settled?.otp.status }, 'send settled');
      return settled;
    } catch (err) {
      if (performance.now() > until) throw err;
      logger.error({ event: 'otp.settle_failed', ...about, err }, 'could not settle a send; retrying');
      waitMs = settleDelayMs(waitMs, attemptEndsBy - performance.now());
      await sleep(waitMs);
    }
  }
}

function detail(outcome: SendOutcome): { reason?: string; refusal?: string } {
  if (outcome.kind === 'accepted') return {};
  if (outcome.kind === 'account_trouble') return { reason: outcome.trouble };
  if ('reason' in outcome) return { reason: outcome.reason };
  return { reason: outcome.failure, ...('text' in outcome && { refusal: outcome.text }) };
}

import { createBatcher } from '../lib/batcher.js';
import type { Logger } from '../lib/logger.js';
import { memoize } from '../lib/memoize.js';
import { withTimeout, withTimeouts } from '../lib/with-timeout.js';
import { brokenContentRules } from '../otp/message.js';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { type Refusal, refuse } from '../otp/refusal.js';
import { type BatchQueue, behindForMs } from '../queues/batch.js';
import { type QueuedOtp, type SendOtpQueue, traceMetadata } from '../queues/send-otp.js';
import type { Admission, AdmissionRequest, Idempotency } from '../store/admission.js';
import { rangeWarning } from '../store/number-ranges.js';
import { singleRecordLimits } from '../store/script.js';
import type { Store } from '../store/store.js';
import { createBackpressure } from './backpressure.js';
import type { RequestSettings } from './otp-request.js';
import { redisDeadlineMs, redisTrouble, refuseUnavailable } from './redis-trouble.js';

/** Accepts OTPs for the API and for apps' own processes: admits them to the store and adds their jobs. */
export type Enqueuer = ReturnType<typeof createEnqueuer>;

/** The batch of lines, with its app and the name that people gave it. */
export interface EnqueuedBatch {
  batch: string;
  app: string;
  name: string | null;
  startAt: number | null;
}

interface EnqueuerDependencies {
  store: Pick<Store, 'otps' | 'batches' | 'load' | 'sendAttempts' | 'waitingLines'>;
  sendOtpQueue: Pick<SendOtpQueue, 'add' | 'jobCallFactory' | 'shardOf' | 'backlog'>;
  batchQueue: Pick<BatchQueue, 'ensure'>;
  settings: Pick<RequestSettings, 'contentPolicy' | 'fraudGuardEnforces'>;
  logger: Logger;
}

/** Longest delay of the first turn of a batch that starts later: its start may be changed. */
const firstTurnMs = 60_000;

/** An enqueuer whose calls to Redis have a deadline. */
export function createEnqueuer({ settings, logger, ...redis }: EnqueuerDependencies) {
  const store = withTimeouts(redis.store, redisDeadlineMs);
  const sendOtpQueue = withTimeouts(redis.sendOtpQueue, redisDeadlineMs);
  const batchQueue = withTimeouts(redis.batchQueue, redisDeadlineMs);
  const { load, waitingLines } = store;
  const backpressure = createBackpressure({ sendOtpQueue, waitingLines, load });
  /** Notes the batch as active; its name, and the delay of its first turn in ms: until its start, or earlier batches end. */
  const firstTurn = async ({ app, batch, name, startAt }: EnqueuedBatch, waiting: number) => {
    const now = Date.now();
    const startsInMs = Math.max(0, (startAt ?? 0) - now);
    const order = now + startsInMs;
    const isBehind = startsInMs === 0 && (await waitingLines.joinAppQueue(app, batch, order)) !== batch;
    const waitsFor = startsInMs > 0 ? 'start' : isBehind ? 'earlier_batch' : null;
    // From now on it counts towards the limit of unsent batches; each of its turns notes it again.
    await waitingLines.note({ batch, app, waiting, inFlight: 0, order, waitsFor }).catch(() => {});
    return { name, delayMs: isBehind ? behindForMs : Math.min(startsInMs, firstTurnMs) };
  };
  const addJob = createAddJob({ store, sendOtpQueue });
  const warn = createWarnings({ settings, logger });

  return {
    /** Whether the app may begin another batch. */
    takesBatch: (app: string) => backpressure.takesBatch(app),
    /** The refusal of every new bulk OTP, or null. Ask before reserving ids for them. */
    refusesBulk: () => backpressure.refusesBulk(),
    /** A single OTP. Rejects when Redis cannot be reached. */
    enqueue: async (request: OtpRequest, idempotency: Idempotency | null) => {
      const refuseWith = backpressure.refuses(request.sendDeadlineSeconds, null);
      const createJobCall = await sendOtpQueue.jobCallFactory();
      const { app, to } = request;
      const trace = traceMetadata();
      const jobOf = createJobCall && ((id: string) => createJobCall({ id, app, to, trace }));
      const admission = await store.otps.admit(request, idempotency, { refuseWith, jobOf });
      warn(request, admission);
      const hasJob = jobOf !== null && admission.kind === 'created';
      if (!hasJob && isQueued(admission)) await addJob(admission.otp);
      return admission;
    },
    /** Lines of a batch, in their order, which are released by the batch's job. Trouble with Redis is a refusal. */
    enqueueMany: async (batch: EnqueuedBatch, asked: readonly AdmissionRequest[]) => {
      const overloadOf = memoize((seconds) => backpressure.refuses(Number(seconds), batch.app));
      const withOverload = asked.map(({ request, reserved }) => {
        return { request, reserved, refuseWith: overloadOf(String(request.sendDeadlineSeconds)) };
      });
      const decided = await store.otps
        .admitMany(withOverload)
        .catch((error: Error) => asked.map(() => error));
      const admissions = asked.map(({ request }, i): Admission => {
        const admission = decided[i] ?? new Error('no answer');
        if (admission instanceof Error)
          return { kind: 'refused', refusal: failedAdmission(logger, admission) };
        warn(request, admission);
        return admission;
      });
      const queued = admissions.filter(isQueued).length;
      if (queued > 0) {
        // The batch watch adds a missing job.
        await Promise.allSettled([
          batchQueue.ensure(batch, () => firstTurn(batch, queued)),
          store.batches.addToAppList(batch.app, batch.batch),
        ]);
      }
      return admissions;
    },
  };
}

/** The job of a replay is added again: its request may have ended before it was. */
function isQueued(admission: Admission): admission is Extract<Admission, { otp: Otp }> {
  return 'otp' in admission && admission.otp.status === 'queued';
}

/** The refusal of one of many that could not be admitted. */
function failedAdmission(logger: Logger, error: Error): Refusal {
  if (redisTrouble(error) !== null) return refuseUnavailable(error);
  logger.error({ event: 'otp.admission_failed', error: error.name }, 'Could not admit an OTP of an upload');
  return refuse('internal_error');
}

/** Adds the jobs of single OTPs in batches, each at most once. */
function createAddJob({ store, sendOtpQueue }: Pick<EnqueuerDependencies, 'store' | 'sendOtpQueue'>) {
  const addTogether = createBatcher(
    async (otps: (Otp & QueuedOtp)[]) => {
      // Spares the sweeper a needless check of these OTPs.
      const marks = otps.map(({ id, sendDeadline }) => ({ id, checkAt: sendDeadline }));
      if (await sendOtpQueue.add(...otps)) void store.sendAttempts.markEnqueued(marks).catch(() => {});
      return otps;
    },
    singleRecordLimits,
    ({ id }) => sendOtpQueue.shardOf(id),
  );
  return async (otp: Otp) => {
    await withTimeout(addTogether({ ...otp, trace: traceMetadata() }), redisDeadlineMs);
  };
}

/** Logs what the operator should know of an admission. */
function createWarnings({ settings, logger }: Pick<EnqueuerDependencies, 'settings' | 'logger'>) {
  const enforced = settings.fraudGuardEnforces;
  return ({ app, message, to }: OtpRequest, admission: Admission): void => {
    if ('rangeDecision' in admission) {
      logger.warn(...rangeWarning({ app, to }, { decision: admission.rangeDecision, enforced }));
    }
    if (admission.kind !== 'created' || settings.contentPolicy !== 'warn') return;
    const rules = brokenContentRules(message, to.country);
    if (rules.length > 0) {
      const fields = { event: 'otp.message_not_allowed', otpId: admission.otp.id, app, rules };
      logger.warn(fields, 'A message breaks the content rules of its country');
    }
  };
}

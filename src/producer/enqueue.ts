import { createBatcher, gathered } from '../lib/batcher.js';
import { groupBy } from '../lib/group-by.js';
import type { Logger } from '../lib/logger.js';
import { memoize } from '../lib/memoize.js';
import { withTimeout, withTimeouts } from '../lib/with-timeout.js';
import { brokenContentRules } from '../otp/message.js';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { type RangeRefusal, type Refusal, refuse } from '../otp/refusal.js';
import { type QueuedOtp, type SendOtpQueue, traceMetadata } from '../queues/send-otp.js';
import type { Admission, AdmissionRequest, Idempotency } from '../store/admission.js';
import { shownRange } from '../store/number-ranges.js';
import type { Store } from '../store/store.js';
import { createBackpressure } from './backpressure.js';
import type { RequestSettings } from './otp-request.js';
import { redisDeadlineMs, redisTrouble, refuseUnavailable } from './redis-trouble.js';

/** Accepts OTPs for the API and for apps' own processes: admits them to the store, then adds their jobs. */
export interface Enqueuer {
  /** A single OTP. Rejects when Redis cannot be reached. */
  enqueue(request: OtpRequest, idempotency: Idempotency | null): Promise<Admission>;
  /** OTPs of one app, in their order, behind single ones. Trouble with Redis is a refusal. */
  enqueueMany(app: string, asked: readonly AdmissionRequest[]): Promise<Admission[]>;
  /** The refusal of every new bulk OTP, or null. Ask before reserving ids for them. */
  refusesBulk(): Refusal | null;
}

interface EnqueuerDependencies {
  store: Pick<Store, 'otps' | 'load' | 'sendAttempts'>;
  sendOtpQueue: Pick<SendOtpQueue, 'add' | 'addBulk' | 'shardOf' | 'withoutJob' | 'backlog'>;
  settings: Pick<RequestSettings, 'contentPolicy' | 'fraudGuardEnforces'>;
  logger: Logger;
}

/** An enqueuer whose calls to Redis have a deadline. */
export function createEnqueuer({ settings, logger, ...redis }: EnqueuerDependencies): Enqueuer {
  const store = withTimeouts(redis.store, redisDeadlineMs);
  const sendOtpQueue = withTimeouts(redis.sendOtpQueue, redisDeadlineMs);
  const backpressure = createBackpressure({ sendOtpQueue, load: store.load });
  const jobs = createJobs({ store, sendOtpQueue });
  const warn = createWarnings({ settings, logger });

  return {
    refusesBulk: () => backpressure.refusesBulk(),
    enqueue: async (request, idempotency) => {
      const overload = backpressure.refuses(request.sendDeadlineSeconds, null);
      const admission = await store.otps.admit(request, idempotency, overload);
      warn(request, admission);
      if (isQueued(admission)) await jobs.add(admission.otp);
      return admission;
    },
    enqueueMany: async (app, asked) => {
      const overloadOf = memoize((seconds) => backpressure.refuses(Number(seconds), app));
      const decided = await store.otps
        .admitMany(
          asked.map((each) => ({ ...each, overload: overloadOf(String(each.request.sendDeadlineSeconds)) })),
        )
        .catch((error: Error) => asked.map(() => error));
      const admissions = asked.map(({ request }, i): Admission => {
        const admission = decided[i] ?? new Error('no answer');
        if (admission instanceof Error)
          return { kind: 'refused', refusal: failedAdmission(logger, admission) };
        warn(request, admission);
        return admission;
      });
      const refusals = await jobs.addMany(app, admissions.filter(isQueued));
      return admissions.map((admission) => {
        const refusal = 'otp' in admission && refusals.get(admission.otp.id);
        return refusal ? { kind: 'refused', refusal } : admission;
      });
    },
  };
}

type Queued = Extract<Admission, { otp: Otp }>;

/** A replay is added again: its request may have ended between admission and queue. */
function isQueued(admission: Admission): admission is Queued {
  return 'otp' in admission && admission.otp.status === 'queued';
}

/** The refusal of one of many that could not be admitted. */
function failedAdmission(logger: Logger, error: Error): Refusal {
  if (redisTrouble(error) !== null) return refuseUnavailable(error);
  logger.error({ event: 'otp.admission_failed', error: error.name }, 'Could not admit an OTP of an upload');
  return refuse('internal_error');
}

/** Adds the jobs of admitted OTPs, each at most once. */
function createJobs({ store, sendOtpQueue }: Pick<EnqueuerDependencies, 'store' | 'sendOtpQueue'>) {
  /** Spares the sweeper a look at these OTPs; without the mark it looks in vain. */
  const markEnqueued = (otps: readonly Otp[]) => void store.sendAttempts.markEnqueued(otps).catch(() => {});
  const addTogether = createBatcher(
    async (otps: (Otp & QueuedOtp)[]) => {
      if (await sendOtpQueue.add(...otps)) markEnqueued(otps);
      return otps;
    },
    gathered,
    ({ id }) => sendOtpQueue.shardOf(id),
  );
  const addBulk = async (app: string, otps: Otp[]) => {
    const trace = traceMetadata();
    const traced = trace === undefined ? otps : otps.map((otp) => ({ ...otp, trace }));
    if (await sendOtpQueue.addBulk(app, traced)) markEnqueued(otps);
  };
  return {
    add: async (otp: Otp) => {
      await withTimeout(addTogether({ ...otp, trace: traceMetadata() }), redisDeadlineMs);
    },
    /** Resolves with the refusals, by id, of OTPs without a job: the same key again, or the sweeper, adds it. */
    addMany: async (app: string, admissions: readonly Queued[]): Promise<Map<string, Refusal>> => {
      const refusals = new Map<string, Refusal>();
      const refuseAll = (otps: readonly Otp[]) => (error: unknown) => {
        for (const { id } of otps) refusals.set(id, refuseUnavailable(error));
      };
      const otpsOf = (kind: Queued['kind']) =>
        admissions.filter((admission) => admission.kind === kind).map(({ otp }) => otp);
      // A replay that still has its job must not take another place in the fair queue.
      const known = otpsOf('replayed');
      const { missing, unsure } = await sendOtpQueue
        .withoutJob(known)
        .catch((error: unknown) => ({ missing: [], unsure: { otps: known, error } }));
      if (unsure) refuseAll(unsure.otps)(unsure.error);
      const byShard = groupBy([...otpsOf('created'), ...missing], ({ id }) =>
        String(sendOtpQueue.shardOf(id)),
      );
      await Promise.all([...byShard.values()].map((otps) => addBulk(app, otps).catch(refuseAll(otps))));
      return refusals;
    },
  };
}

const rangeTexts = {
  slowed: 'A number range looks like SMS pumping and is slowed: too few of its codes were verified',
  blocked: 'A number range looks like SMS pumping and is blocked: too few of its codes were verified',
  capped: 'A number range has as many unverified codes as it may have at a time',
} satisfies Record<RangeRefusal, string>;

/** Logs what the operator should know of an admission. */
function createWarnings({ settings, logger }: Pick<EnqueuerDependencies, 'settings' | 'logger'>) {
  return ({ app, message, to }: OtpRequest, admission: Admission): void => {
    if ('rangeDecision' in admission) {
      const { rangeDecision: decision } = admission;
      const enforced = settings.fraudGuardEnforces;
      const fields = { event: `range.${decision}`, app, range: shownRange(to.range), enforced };
      logger.warn(fields, rangeTexts[decision]);
    }
    if (admission.kind !== 'created' || settings.contentPolicy !== 'warn') return;
    const rules = brokenContentRules(message, to.country);
    if (rules.length > 0) {
      const fields = { event: 'otp.message_not_allowed', otpId: admission.otp.id, app, rules };
      logger.warn(fields, 'A message breaks the content rules of its country');
    }
  };
}

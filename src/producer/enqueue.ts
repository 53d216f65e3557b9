import { createBatcher, gathered } from '../lib/batcher.js';
import { groupBy } from '../lib/group-by.js';
import type { Logger } from '../lib/logger.js';
import { memoize } from '../lib/memoize.js';
import { withTimeout, withTimeouts } from '../lib/with-timeout.js';
import { brokenContentRules } from '../otp/content-rules.js';
import type { Otp, OtpRequest } from '../otp/otp.js';
import type { QueuedOtp, SendOtpQueue } from '../queues/send-otp.js';
import { traceMetadata } from '../queues/trace.js';
import type { Admission, AdmissionRequest, Idempotency, Quota } from '../store/admission.js';
import { type RangeRefusal, shownRange } from '../store/number-ranges.js';
import type { Store } from '../store/store.js';
import { createBackpressure, type Overload } from './backpressure.js';
import { redisDeadlineMs, redisTrouble } from './redis-trouble.js';
import { type Refusal, refusalOf, refuse } from './refusal.js';
import type { RequestSettings } from './settings.js';

/** What accepting OTPs needs. */
interface EnqueuerDependencies {
  store: Pick<Store, 'otps' | 'load' | 'sendAttempts'>;
  sendOtpQueue: Pick<SendOtpQueue, 'add' | 'addBulk' | 'shardOf' | 'withoutJob' | 'backlog'>;
  settings: Pick<RequestSettings, 'contentPolicy' | 'fraudGuardEnforces'>;
  logger: Logger;
}

/** An OTP that was accepted now, or before; or why it was not. */
export type Acceptance =
  | { kind: 'accepted'; otp: Otp; quotas: Quota[] }
  | { kind: 'replayed'; otp: Otp }
  | { kind: 'refused'; refusal: Refusal };

/** The straight walk of every new OTP: admitted by the store, then put into the queue. */
export interface Enqueuer {
  /** One that somebody waits for. Rejects when Redis cannot be reached. */
  enqueue(request: OtpRequest, idempotency: Idempotency | null): Promise<Acceptance>;
  /** Many of one app, which everybody's single ones overtake, in their order. Never rejects for trouble with Redis. */
  enqueueMany(app: string, asked: readonly AdmissionRequest[]): Promise<Acceptance[]>;
  /** Why nothing new of bulk can be taken at all; null when it can. To be asked before anything is kept for it. */
  refusesBulk(): Refusal | null;
}

/** Accepts OTPs for the API and for apps' own processes alike. */
export function createEnqueuer(dependencies: EnqueuerDependencies): Enqueuer {
  const store = withTimeouts(dependencies.store, redisDeadlineMs);
  const sendOtpQueue = withTimeouts(dependencies.sendOtpQueue, redisDeadlineMs);
  const backpressure = createBackpressure({ sendOtpQueue, load: store.load });

  /** The sweeper need not look for these jobs; when that gets lost, it looks in vain. */
  const markEnqueued = (otps: readonly Otp[]) => void store.sendAttempts.markEnqueued(otps).catch(() => {});
  /** A job is added once at most, so a replay completes what a lost connection left half done. */
  const add = createBatcher(
    async (otps: (Otp & QueuedOtp)[]) => {
      if (await sendOtpQueue.add(...otps)) markEnqueued(otps);
      return otps;
    },
    gathered,
    ({ id }) => sendOtpQueue.shardOf(id),
  );

  return {
    refusesBulk: () => {
      const overload = backpressure.refusesBulk();
      return overload && refusalOf({ kind: 'overloaded' }, overload);
    },
    enqueue: async (request, idempotency) => {
      const overload = backpressure.refuses(request.sendDeadlineSeconds, null);
      const admission = await store.otps.admit(request, idempotency, overload !== null);
      note(dependencies, request, admission);
      const acceptance = toAcceptance(admission, overload);
      if ('otp' in acceptance && acceptance.otp.status === 'queued')
        await withTimeout(add({ ...acceptance.otp, trace: traceMetadata() }), redisDeadlineMs);
      return acceptance;
    },
    enqueueMany: async (app, asked) => {
      const refuses = memoize((seconds) => ({ overload: backpressure.refuses(Number(seconds), app) }));
      const overloads = asked.map(({ request }) => refuses(String(request.sendDeadlineSeconds)).overload);
      const admissions = await store.otps
        .admitMany(asked.map((each, i) => ({ ...each, overloaded: overloads[i] !== null })))
        .catch((error: Error) => asked.map(() => error));
      const acceptances = asked.map(({ request }, i) => {
        const admission = admissions[i] ?? new Error('no answer');
        if (admission instanceof Error) return failedAdmission(dependencies, admission);
        note(dependencies, request, admission);
        // Its id was reserved, so what was admitted again came again.
        if ('otp' in admission && isKnown(admission))
          return { kind: 'replayed' as const, otp: admission.otp };
        return toAcceptance(admission, overloads[i] ?? null);
      });
      const queued = admissions.flatMap((admission) =>
        'otp' in admission && admission.otp.status === 'queued' ? [admission] : [],
      );
      const [known, fresh] = [queued.filter(isKnown), queued.filter((admission) => !isKnown(admission))];
      const otpsOf = (some: typeof queued) => some.map(({ otp }) => otp);
      // What was admitted and not added is refused: the same key again, or the sweeper, adds its job.
      const refused = new Map<string, Acceptance>();
      const refuseAll = (otps: readonly Otp[]) => (error: unknown) => {
        for (const { id } of otps) refused.set(id, unavailable(error));
      };
      // Those that have their job already must not take another place in line.
      const { missing, unsure } = await sendOtpQueue.withoutJob(otpsOf(known)).catch((error: unknown) => ({
        missing: [],
        unsure: { otps: otpsOf(known), error },
      }));
      if (unsure) refuseAll(unsure.otps)(unsure.error);
      const byShard = groupBy([...otpsOf(fresh), ...missing], ({ id }) => String(sendOtpQueue.shardOf(id)));
      const trace = traceMetadata();
      const addShard = async (otps: Otp[]) => {
        const traced = otps.map((otp) => ({ ...otp, trace }));
        if (await sendOtpQueue.addBulk(app, trace === undefined ? otps : traced)) markEnqueued(otps);
      };
      await Promise.all([...byShard.values()].map((otps) => addShard(otps).catch(refuseAll(otps))));
      return acceptances.map((each) => ('otp' in each && refused.get(each.otp.id)) || each);
    },
  };
}

/** Admitted by an earlier request, or by this one when it came twice. */
function isKnown(admission: Admission): boolean {
  return admission.kind === 'replayed' || (admission.kind === 'admitted' && admission.again);
}

/** Trouble of one of many is its own answer. */
function failedAdmission({ logger }: EnqueuerDependencies, error: Error): Acceptance {
  if (redisTrouble(error) !== null) return unavailable(error);
  logger.error({ event: 'otp.admission_failed', error: error.name }, 'an OTP of many could not be admitted');
  return { kind: 'refused', refusal: refuse('internal_error') };
}

/** Trouble with Redis is the item's own answer; anything else is a bug. */
function unavailable(error: unknown): Acceptance {
  const reason = redisTrouble(error);
  if (reason === null) throw error;
  return { kind: 'refused', refusal: refuse('queue_unavailable', { reason }) };
}

function toAcceptance(admission: Admission, overload: Overload | null): Acceptance {
  switch (admission.kind) {
    case 'admitted':
      return { kind: 'accepted', otp: admission.otp, quotas: admission.quotas };
    case 'replayed':
      return { kind: 'replayed', otp: admission.otp };
    default:
      return { kind: 'refused', refusal: refusalOf(admission, overload) };
  }
}

const rangeTexts = {
  slowed: 'a number range looks like SMS pumping, and is slowed: too few of its codes were verified',
  blocked: 'a number range looks like SMS pumping, and is blocked: too few of its codes were verified',
  capped: 'a number range has as many unverified codes as it may have at a time',
} satisfies Record<RangeRefusal, string>;

/** What the operator should hear of, whatever becomes of the request. */
function note(
  { logger, settings }: EnqueuerDependencies,
  { app, message, to }: OtpRequest,
  admission: Admission,
): void {
  if ('ranges' in admission) {
    for (const { decision, range } of admission.ranges) {
      logger.warn(
        {
          event: `range.${decision}`,
          app,
          range: shownRange(range),
          enforced: settings.fraudGuardEnforces,
        },
        rangeTexts[decision],
      );
    }
  }
  if (admission.kind !== 'admitted' || settings.contentPolicy !== 'warn') return;
  const rules = brokenContentRules(message, to.country);
  if (rules.length > 0) {
    logger.warn(
      { event: 'otp.message_not_allowed', otpId: admission.otp.id, app, rules },
      'a message breaks the content rules of its country',
    );
  }
}

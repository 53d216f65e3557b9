import { UnrecoverableError, Worker, type WorkerOptions } from 'bullmq';
import type { Logger } from '../lib/logger.js';
import { withTimeout } from '../lib/with-timeout.js';
import type { Delivery, WebhookReceivers } from '../otp/event.js';
import { type FailureCode, failureMessages } from '../otp/otp.js';
import { queueNames } from '../queues/queues.js';
import {
  type WebhookJob,
  type WebhookPayload,
  type WebhookQueue,
  type webhookJob,
  webhookPayload,
  webhookRetriesMs,
} from '../queues/webhook.js';
import type { Otps } from '../store/otps.js';
import type { Store } from '../store/store.js';
import { delay, type WorkerMetrics, withoutStack, withoutStacks } from './job-control.js';

const relayEveryMs = 500;
const cleanEveryMs = 60_000;
/** Reads of one run, so that other work gets its turn. */
const mostReads = 40;
/**
 * Deliveries that may wait: about 150 MB of Redis, so that a receiver that is away for long does not take the memory of
 * new OTPs. Further events stay in their lists, the newest 10,000 of each partition.
 */
const mostDeliveries = 200_000;

/**
 * Turns recorded events into jobs; one worker of all does so twice a second. An event is deleted once its job exists: a
 * relay that dies in between is repeated, and a job is added once.
 */
export function createRelay(options: {
  store: Pick<Store, 'events' | 'acquireLease'>;
  webhookQueue: Pick<WebhookQueue, 'add' | 'counts' | 'clean'>;
  receivers: Pick<WebhookReceivers, 'of'>;
  logger: Logger;
}) {
  const { store, webhookQueue, receivers, logger } = options;
  let full = false;
  const isFull = async () => {
    const { waiting, retrying } = await webhookQueue.counts();
    const now = waiting + retrying >= mostDeliveries;
    if (now && !full) {
      logger.error({ event: 'webhook.backlog_full', waiting, retrying }, 'too many undelivered events');
    }
    full = now;
    return full;
  };
  const relay = async (): Promise<boolean> => {
    const stored = await store.events.read();
    if (stored.length === 0) return false;
    const events = stored.flatMap(({ event, entry }) => {
      if (event) return [event];
      logger.error({ event: 'webhook.unreadable', entry }, 'an event cannot be read and is dropped');
      return [];
    });
    await webhookQueue.add(events.filter(({ type, about }) => receivers.of(type, appOf(about)) !== null));
    await store.events.forget(stored);
    return true;
  };
  return {
    everyMs: relayEveryMs,
    run: async () => {
      if (!(await store.acquireLease('relay', relayEveryMs - 50))) return;
      if (await store.acquireLease('webhook-clean', cleanEveryMs)) await webhookQueue.clean();
      if (await isFull()) return;
      for (let reads = 0; reads < mostReads && (await relay()); reads++);
    },
  };
}

/** Deliveries at a time in one process; of these, one receiver has half at most, and few while its last one failed. */
const atATime = { all: 64, failing: 4 };
/** Bounds of the time until a delivery that its receiver had no place for is tried again; this costs no attempt. */
const putOffMs = { least: 100, most: 60_000 };
/** Deadline for reading the OTP of an event. */
const readWithinMs = 2_000;

interface DeliveryOptions {
  otps: Pick<Otps, 'find'>;
  receivers: Pick<WebhookReceivers, 'of'>;
  /** Whether OTPs to a blocked range are rejected, or only reported. */
  fraudGuardEnforces: boolean;
  logger: Logger;
  metrics: Pick<WorkerMetrics, 'delivered'>;
}

/** The worker of `webhook`. */
export function startWebhookWorker(options: DeliveryOptions, workerOptions: WorkerOptions) {
  const deliver = createWebhookProcessor(options);
  return new Worker<WebhookPayload, null, typeof webhookJob>(
    queueNames.webhook,
    async (job, lockToken) => {
      try {
        return await deliver(job, lockToken);
      } catch (error) {
        // Any other error is a bug, and is logged as one.
        if (error instanceof NotDelivered) throw withoutStack(error);
        return await withoutStacks(options.logger, () => Promise.reject(error));
      }
    },
    { ...workerOptions, settings: { backoffStrategy: webhookDelayMs }, concurrency: atATime.all },
  );
}

/** The processor of `webhook`: one attempt to deliver an event. BullMQ retries a failed one after its backoff. */
export function createWebhookProcessor(options: DeliveryOptions) {
  const { receivers, logger, metrics } = options;
  const limited = createReceiverLimit();
  return async (job: WebhookJob, lockToken = ''): Promise<null> => {
    const event = webhookPayload.parse(job.data);
    const receiver = receivers.of(event.type, appOf(event.about));
    // The receiver was removed from the settings since.
    if (!receiver) return null;
    const delivery = await limited(receiver, async () => {
      const payload = JSON.stringify(await messageOf(options, event));
      return await receiver.deliver({ id: event.id, payload });
    });
    if (typeof delivery === 'number') return await delay(job, lockToken, delivery);
    metrics.delivered(event.type, delivery.kind === 'delivered');
    if (delivery.kind === 'delivered') return null;
    const { reason } = delivery;
    const last = delivery.kind === 'gone' || job.attemptsMade >= webhookRetriesMs.length;
    const fields = { event: 'webhook.failed', webhookId: event.id, type: event.type, reason, last };
    if (last) logger.error(fields, 'webhook delivery failed for good; run `isms-otp webhooks redeliver`');
    else logger.warn(fields, 'an event could not be delivered; it is tried again');
    throw last ? new UnrecoverableError(reason) : new NotDelivered(reason);
  };
}

/**
 * Runs deliveries, but not too many to one receiver: further ones get the ms after which to try again, when those put off
 * before should have had their turns.
 */
function createReceiverLimit() {
  const known = new WeakMap<
    object,
    { inFlight: number; putOff: number; tookMs: number; isFailing: boolean }
  >();
  let inFlight = 0;
  return async (receiver: object, deliver: () => Promise<Delivery>): Promise<Delivery | number> => {
    const state = known.get(receiver) ?? { inFlight: 0, putOff: 0, tookMs: 1_000, isFailing: false };
    known.set(receiver, state);
    const hasRoom = !state.isFailing && inFlight < atATime.all / 2;
    if (state.inFlight >= atATime.failing && !hasRoom) {
      state.putOff += 1;
      const turns = state.putOff / Math.max(state.inFlight, atATime.failing);
      return Math.round(Math.min(putOffMs.most, Math.max(putOffMs.least, turns * state.tookMs)));
    }
    state.putOff = Math.max(0, state.putOff - 1);
    state.inFlight += 1;
    inFlight += 1;
    const began = performance.now();
    try {
      const delivery = await deliver();
      state.isFailing = delivery.kind !== 'delivered';
      return delivery;
    } finally {
      state.tookMs = performance.now() - began;
      state.inFlight -= 1;
      inFlight -= 1;
    }
  };
}

/** An attempt failed; the next one follows. */
class NotDelivered extends Error {
  override readonly name = 'NotDelivered';
}

/** Jittered by a tenth, so that retries do not meet a receiver all at once. */
export function webhookDelayMs(attemptsMade: number): number {
  const delay = webhookRetriesMs[attemptsMade - 1] ?? webhookRetriesMs.at(-1) ?? 0;
  return Math.round(delay * (0.9 + Math.random() * 0.2));
}

/** The message of an event (docs/webhooks.md). It has no phone number: receivers look up the OTP. */
async function messageOf(options: DeliveryOptions, event: WebhookPayload) {
  const { type, at } = event;
  return { type, timestamp: new Date(at).toISOString(), data: await dataOf(options, event) };
}

async function dataOf({ otps, fraudGuardEnforces }: DeliveryOptions, { type, about }: WebhookPayload) {
  if (type === 'range.blocked') return { ...about, enforced: fraudGuardEnforces };
  const { otpId, app, failure } = about;
  if (typeof otpId !== 'string' || typeof app !== 'string') return about;
  // An event without its reference is better than a late one.
  const otp = await withTimeout(otps.find(app, otpId), readWithinMs).catch(() => null);
  const code = failure as FailureCode | null;
  return {
    id: otpId,
    app,
    reference: otp?.reference ?? null,
    status: type.replace('otp.', ''),
    failure: code && { code, message: failureMessages[code] },
  };
}

/** The app of an event; null for one of the whole gateway. */
function appOf(about: object): string | null {
  return 'app' in about ? String(about.app) : null;
}

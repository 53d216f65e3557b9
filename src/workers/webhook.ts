import { UnrecoverableError } from 'bullmq';
import type { Logger } from '../lib/logger.js';
import { withTimeout } from '../lib/with-timeout.js';
import { type FailureCode, failureMessages } from '../otp/failure.js';
import type { WebhookReceivers } from '../otp/webhook.js';
import { type WebhookJob, type WebhookPayload, webhookPayload, webhookRetriesMs } from '../queues/webhook.js';
import type { Otps } from '../store/otps.js';
import type { WorkerMetrics } from './metrics.js';

/** A record whose master is away is not waited for. */
const readWithinMs = 2_000;

export interface WebhookDependencies {
  otps: Pick<Otps, 'find'>;
  receivers: Pick<WebhookReceivers, 'of'>;
  /** Whether a range that the guard blocks is refused, or only named. */
  fraudGuardEnforces: boolean;
  logger: Logger;
  metrics: Pick<WorkerMetrics, 'delivered'>;
}

/** The processor of `webhook`: one attempt to deliver an event. What BullMQ does after a failed one is its backoff. */
export function createWebhookProcessor(dependencies: WebhookDependencies) {
  const { receivers, logger, metrics } = dependencies;
  return async (job: WebhookJob): Promise<null> => {
    const event = webhookPayload.parse(job.data);
    const receiver = receivers.of(event.type, appOf(event.about));
    // Whoever wanted it wants no more of it.
    if (!receiver) return null;
    const payload = JSON.stringify(await messageOf(dependencies, event));
    const delivery = await receiver.deliver({ id: event.id, payload });
    metrics.delivered(event.type, delivery.kind === 'delivered');
    if (delivery.kind === 'delivered') return null;
    const last = delivery.kind === 'gone' || job.attemptsMade >= webhookRetriesMs.length;
    const fields = {
      event: 'webhook.failed',
      webhookId: event.id,
      type: event.type,
      reason: delivery.reason,
    };
    if (last) logger.error({ ...fields, last }, 'an event could not be delivered: it is a dead letter now');
    else logger.warn({ ...fields, last }, 'an event could not be delivered; it is tried again');
    throw last ? new UnrecoverableError(delivery.reason) : new NotDelivered(delivery.reason);
  };
}

/** An attempt failed as attempts do; another one comes. */
export class NotDelivered extends Error {
  override readonly name = 'NotDelivered';
}

/** About a tenth more or less, so that receivers that come back are not met by all at once. */
export function webhookDelayMs(attemptsMade: number): number {
  const delay = webhookRetriesMs[attemptsMade - 1] ?? webhookRetriesMs.at(-1) ?? 0;
  return Math.round(delay * (0.9 + Math.random() * 0.2));
}

/** The message of an event (docs/webhooks.md). It names no phone number: who needs it asks for the OTP. */
async function messageOf(dependencies: WebhookDependencies, event: WebhookPayload) {
  const { type, at } = event;
  return { type, timestamp: new Date(at).toISOString(), data: await dataOf(dependencies, event) };
}

async function dataOf({ otps, fraudGuardEnforces }: WebhookDependencies, { type, about }: WebhookPayload) {
  if (type === 'range.blocked') return { ...about, enforced: fraudGuardEnforces };
  const { otpId, app, failure } = about;
  if (typeof otpId !== 'string' || typeof app !== 'string') return about;
  // Without its reference an event is of use, too: one whose record cannot be read must not wait for it.
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

/** Whose event it is; null for one of the whole gateway. */
export function appOf(about: object): string | null {
  return 'app' in about ? String(about.app) : null;
}

import type { z } from 'zod';
import { isoTime } from '../../lib/time.js';
import { failureMessages, type Otp } from '../../otp/otp.js';
import type { PhoneNumber } from '../../otp/phone-number.js';
import { redisTrouble } from '../../producer/redis-trouble.js';
import type { Store } from '../../store/store.js';
import type { ApiDependencies } from '../dependencies.js';
import { sentOtp } from '../docs/examples.js';
import { ApiProblem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';
import { otpSchema } from './schemas.js';

const tag = 'OTPs';

/** Read and cancel OTPs. OTPs of other apps look like missing ones. */
export function otpRoutes(dependencies: ApiDependencies): Route[] {
  return [getOtp(dependencies), cancelOtp(dependencies)];
}

function getOtp({ store }: ApiDependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/v1/otps/{id}',
    operationId: 'getOtp',
    tag,
    summary: 'Get an OTP',
    description:
      'The OTP with its current status: `queued` → `sending` → `sent` → `verified`, `expired` or `locked`; or ' +
      '`failed`, `expired` with `not_sent_in_time`, `unknown` (an SMS may have been sent, its ids are lost), `cancelled`.',
    answers: {
      200: { description: 'The OTP.', body: { name: 'Otp', schema: otpSchema, example: sentOtp } },
    },
    problems: ['otp_not_found', 'queue_unavailable'],
    handle: async ({ app, id, context }) => {
      const otp = await store.otps.find(app, id);
      if (!otp) throw new ApiProblem('otp_not_found');
      context.otpId = otp.id;
      return { status: 200, body: otpView(otp) };
    },
  });
}

function cancelOtp(dependencies: ApiDependencies): Route {
  const cancel = createCancel(dependencies);
  return defineRoute({
    method: 'delete',
    path: '/v1/otps/{id}',
    operationId: 'cancelOtp',
    tag,
    summary: 'Cancel an OTP',
    description:
      'Removes an unsent OTP from the queue; a code already sent can no longer be verified. Has no effect on an OTP that ' +
      'has ended.',
    answers: { 204: { description: 'Cancelled, or ended before.' } },
    problems: ['otp_not_found', 'already_verified', 'queue_unavailable'],
    handle: async ({ app, id, context }) => {
      const result = await cancel(app, id);
      if (result !== 'otp_not_found') context.otpId = id;
      if (result !== 'cancelled') throw new ApiProblem(result);
      return { status: 204 };
    },
  });
}

/** Cancels an OTP and removes its job; resolves with the result. */
export function createCancel({ store, sendOtpQueue }: Pick<ApiDependencies, 'store' | 'sendOtpQueue'>) {
  return async (app: string, id: string) => {
    const result = await store.otps.cancel(app, id);
    // The record decides: a job that stays in the queue finds its OTP cancelled and ends.
    if (result === 'cancelled') await sendOtpQueue.remove(id).catch(() => {});
    return result;
  };
}

/** The latest OTPs of an app to a number with one purpose (null: without a purpose), newest first. */
export async function otpsOfNumber(
  { phones, otps }: Pick<Store, 'phones' | 'otps'>,
  { app, to, purpose }: { app: string; to: PhoneNumber; purpose: string | null },
): Promise<Otp[]> {
  const ids = await phones.idsOfApp(app, to);
  const found = await Promise.all(ids.map((id) => otps.find(app, id)));
  return found
    .filter((otp) => otp !== null)
    .filter((otp) => otp.purpose === purpose)
    .sort((a, b) => b.createdAt - a.createdAt);
}

/** Skips one of many records that is broken or that no encryption key opens; rethrows trouble with Redis. */
export function skipUnreadable(error: unknown): null {
  if (redisTrouble(error) !== null) throw error;
  return null;
}

/** An OTP as its own app sees it. */
export function otpView(otp: Otp): z.output<typeof otpSchema> {
  const time = (ms: number | null) => (ms === null ? null : isoTime(ms));
  return {
    id: otp.id,
    status: otp.status,
    to: otp.to.e164,
    reference: otp.reference,
    purpose: otp.purpose,
    createdAt: isoTime(otp.createdAt),
    sendDeadline: isoTime(otp.sendDeadline),
    sentAt: time(otp.sentAt),
    expiresAt: time(otp.expiresAt),
    attemptsRemaining: otp.attemptsRemaining,
    uuid: otp.uuid,
    smsId: otp.smsId,
    credits: otp.credits,
    failure: otp.failure && { code: otp.failure, message: failureMessages[otp.failure] },
  };
}

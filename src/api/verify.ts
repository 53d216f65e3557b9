import { z } from 'zod';
import type { Otp } from '../otp/otp.js';
import { randomText } from '../otp/otp-id.js';
import type { Provider } from '../otp/provider.js';
import { idempotencyKeySchema } from '../producer/otp-request-schema.js';
import { timely } from '../producer/redis-trouble.js';
import type { Store } from '../store/store.js';
import type { Verification } from '../store/verification-attempts.js';
import { verifiedExample, verifyRequestExample } from './examples.js';
import type { Logger } from './logger.js';
import type { ApiMetrics } from './metrics.js';
import { isoTime, timeSchema, verifyRequestSchema } from './otp-schemas.js';
import { ApiProblem } from './problem.js';
import { type Answer, defineRoute, type Route } from './route.js';

export interface VerifyDependencies {
  store: Pick<Store, 'verificationAttempts'>;
  provider: Pick<Provider, 'verify'>;
  logger: Logger;
  metrics: Pick<ApiMetrics, 'verification' | 'verified'>;
}

const verifiedSchema = z.object({ id: z.string(), status: z.literal('verified'), verifiedAt: timeSchema });

/** `POST /v1/otps/{id}/verify`: 200 only when this very call verified the OTP, whatever goes wrong. */
export function verifyRoute(dependencies: VerifyDependencies): Route {
  return defineRoute({
    method: 'post',
    path: '/v1/otps/{id}/verify',
    operationId: 'verifyOtp',
    tag: 'OTPs',
    summary: 'Verify a code',
    description:
      '200 **only** when this very call verified the OTP, so a client may look at nothing but the status. Of any ' +
      'number of simultaneous calls at most one gets 200. An attempt is spent before iSMS is asked, and comes ' +
      'back only when the call is proven not to have reached iSMS.',
    body: { name: 'VerifyRequest', schema: verifyRequestSchema, example: verifyRequestExample },
    headers: z.object({
      'Idempotency-Key': idempotencyKeySchema
        .optional()
        .describe('A 200 that got lost on its way is answered again to the same key and code for 60 s.'),
    }),
    answers: {
      200: {
        description: 'This call verified the OTP.',
        headers: { 'Idempotent-Replayed': 'true when an earlier call with this key did' },
        body: { name: 'Verified', schema: verifiedSchema, example: verifiedExample },
      },
    },
    problems: [
      'otp_not_found',
      'already_verified',
      'not_sent',
      'not_verifiable',
      'verification_in_progress',
      'otp_expired',
      'otp_cancelled',
      'attempts_exhausted',
      'phone_locked',
      'body_too_large',
      'unsupported_media_type',
      'incorrect_code',
      'queue_unavailable',
      'provider_unavailable',
    ],
    ended: ({ app, problem, aborted }) =>
      dependencies.metrics.verification(app, problem ?? (aborted ? 'aborted' : 'verified')),
    handle: async ({ app, id, body: { code }, headers, concerns }) => {
      const key = headers['Idempotency-Key'];
      const token = randomText();
      const verification = { app, id, token, replay: key === undefined ? null : { key, code } };
      const admission = await timely(dependencies.store.verificationAttempts.admit(verification));
      if (!('otp' in admission)) throw new ApiProblem(admission.kind);
      concerns(admission.otp.id);
      if (admission.kind === 'replayed') return verified(admission.otp, { 'Idempotent-Replayed': 'true' });
      return await decide(dependencies, { verification, otp: admission.otp, code });
    },
  });
}

async function decide(
  { store, provider, logger, metrics }: VerifyDependencies,
  { verification, otp, code }: { verification: Verification; otp: Otp; code: string },
): Promise<Answer> {
  const outcome = await provider.verify(verifyCall(otp, code));
  const settled = await timely(store.verificationAttempts.settle(verification, outcome.kind));
  if ('phoneLocked' in settled && settled.phoneLocked) {
    const { app, id, to } = settled.otp;
    logger.warn(
      { event: 'phone.locked', app, otpId: id, to: to.masked },
      'too many wrong codes in a row: the number is locked until `isms-otp unlock`',
    );
  }
  switch (settled.kind) {
    case 'verified':
      metrics.verified(settled.otp.app, settled.otp.to.country);
      return verified(settled.otp, {});
    case 'incorrect':
      throw new ApiProblem('incorrect_code', {
        members: { attemptsRemaining: settled.otp.attemptsRemaining },
      });
    case 'unavailable':
      throw new ApiProblem('provider_unavailable', {
        reason: 'reason' in outcome ? outcome.reason : 'lease_lapsed',
      });
    default:
      throw new ApiProblem(settled.kind);
  }
}

function verifyCall(otp: Otp, code: string) {
  const { to, uuid, smsId, senderId, ttlSeconds } = otp;
  if (uuid === null || smsId === null) throw new Error('an OTP was sent but has no ids');
  return { to, uuid, smsId, code, senderId, validMinutes: Math.ceil(ttlSeconds / 60) };
}

function verified(otp: Otp, headers: Record<string, string>): Answer {
  if (otp.verifiedAt === null) throw new Error('an OTP is verified but has no time of it');
  return {
    status: 200,
    headers,
    body: { id: otp.id, status: 'verified', verifiedAt: isoTime(otp.verifiedAt) },
  };
}

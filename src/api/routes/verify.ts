import { z } from 'zod';
import { PhoneNumber } from '../../otp/phone-number.js';
import type { RequestSettings } from '../../producer/settings.js';
import type { Store } from '../../store/store.js';
import { verifiedExample, verifyByNumberExample, verifyRequestExample } from '../docs/examples.js';
import { idempotencyKeyHeader } from '../http/idempotency-key.js';
import { ApiProblem } from '../http/problem.js';
import type { ProblemCode } from '../http/problems.js';
import { type Answer, defineRoute, type Route } from '../http/route.js';
import { isoTime } from './otp-view.js';
import { otpsOfNumber } from './otps-of-number.js';
import { verifiedSchema, verifyByNumberSchema, verifyRequestSchema } from './schemas.js';
import { createVerify, type TypedCode, type VerificationDependencies } from './verification.js';

export interface VerifyDependencies extends VerificationDependencies {
  store: VerificationDependencies['store'] & Pick<Store, 'phones' | 'otps'>;
  settings: Pick<RequestSettings, 'defaultCountry'>;
}

const headersSchema = z.object({
  'Idempotency-Key': idempotencyKeyHeader
    .optional()
    .describe('A 200 that got lost on its way is answered again to the same key and code for 60 s.'),
});

/** What a verification can come to, however its OTP is named. */
const verificationProblems = [
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
] as const satisfies readonly ProblemCode[];

const onlyThisCall =
  '200 **only** when this very call verified the OTP, so a client may look at nothing but the status. Of any ' +
  'number of simultaneous calls at most one gets 200. An attempt is spent before iSMS is asked, and comes ' +
  'back only when the call is proven not to have reached iSMS.';

/** Verifying codes: 200 only when this very call verified the OTP, whatever goes wrong. */
export function verifyRoutes(dependencies: VerifyDependencies): Route[] {
  const verify = createVerify(dependencies);
  const verified = async (typed: TypedCode): Promise<Answer> => {
    const { otp, verifiedAt, replayed } = await verify(typed);
    return {
      status: 200,
      headers: replayed ? { 'Idempotent-Replayed': 'true' } : {},
      body: { id: otp.id, status: 'verified', verifiedAt: isoTime(verifiedAt) },
    };
  };
  const common = {
    method: 'post',
    tag: 'OTPs',
    headers: headersSchema,
    answers: {
      200: {
        description: 'This call verified the OTP.',
        headers: { 'Idempotent-Replayed': 'true when an earlier call with this key did' },
        body: { name: 'Verified', schema: verifiedSchema, example: verifiedExample },
      },
    },
    ended: ({ app, problem, aborted }) =>
      dependencies.metrics.verification(app, problem ?? (aborted ? 'aborted' : 'verified')),
  } as const satisfies Partial<Parameters<typeof defineRoute>[0]>;
  return [
    defineRoute({
      ...common,
      path: '/v1/otps/{id}/verify',
      operationId: 'verifyOtp',
      summary: 'Verify a code',
      description: onlyThisCall,
      body: { name: 'VerifyRequest', schema: verifyRequestSchema, example: verifyRequestExample },
      problems: verificationProblems,
      handle: ({ app, id, body: { code }, headers, setOtpId }) =>
        verified({ app, id, code, key: headers['Idempotency-Key'], setOtpId }),
    }),
    defineRoute({
      ...common,
      path: '/v1/verify',
      operationId: 'verifyOtpByNumber',
      summary: 'Verify a code by number',
      description: `For apps that keep no id: the code of the newest OTP of this number and purpose. ${onlyThisCall}`,
      body: { name: 'VerifyByNumberRequest', schema: verifyByNumberSchema, example: verifyByNumberExample },
      problems: [...verificationProblems, 'invalid_phone_number'],
      handle: async ({ app, body: { to, code, purpose }, headers, setOtpId }) => {
        const number = PhoneNumber.parse(to, dependencies.settings.defaultCountry);
        if (!number) throw new ApiProblem('invalid_phone_number');
        const asked = { app, to: number, purpose: purpose ?? null };
        const [newest] = await otpsOfNumber(dependencies.store, asked);
        if (!newest) throw new ApiProblem('otp_not_found');
        return await verified({ app, id: newest.id, code, key: headers['Idempotency-Key'], setOtpId });
      },
    }),
  ];
}

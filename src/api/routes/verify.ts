import { z } from 'zod';
import { isoTime } from '../../lib/time.js';
import { matchesBinding } from '../../otp/binding.js';
import type { Otp } from '../../otp/otp.js';
import { randomText } from '../../otp/otp-id.js';
import { isAccountTrouble, type VerifyOutcome } from '../../otp/outcome.js';
import { PhoneNumber } from '../../otp/phone-number.js';
import type { Verification } from '../../store/verification-attempts.js';
import type { ApiDependencies } from '../dependencies.js';
import { sentOtp } from '../docs/examples.js';
import type { Answer } from '../http/answer.js';
import type { RequestContext, RequestEnd } from '../http/context.js';
import { ApiProblem } from '../http/problem.js';
import type { ProblemCode } from '../http/problems.js';
import { idempotencyKeyHeader } from '../http/request.js';
import { defineRoute, type Route } from '../http/route.js';
import { otpsOfNumber } from './otps.js';
import { verifiedSchema, verifyByNumberSchema, verifyRequestSchema } from './schemas.js';

const headersSchema = z.object({
  'Idempotency-Key': idempotencyKeyHeader
    .optional()
    .describe('Repeats a lost 200 to the same key and code for 60 s.'),
});

/** Problems of a verification, by id or by number. */
const verificationProblems = [
  'otp_not_found',
  'already_verified',
  'not_sent',
  'not_verifiable',
  'verification_in_progress',
  'otp_expired',
  'otp_cancelled',
  'attempts_exhausted',
  'recipient_locked',
  'body_too_large',
  'unsupported_media_type',
  'incorrect_code',
  'binding_mismatch',
  'queue_unavailable',
  'provider_unavailable',
] as const satisfies readonly ProblemCode[];

const onlyThisCall =
  '200 **only** if this very call verified the OTP, so a client needs to check nothing but the status. Of any ' +
  'number of simultaneous calls at most one gets 200. An attempt is counted before iSMS is called, and given ' +
  'back only if the call provably did not reach iSMS.';

/** Verify codes: 200 only if this very call verified the OTP. */
export function verifyRoutes(dependencies: ApiDependencies): Route[] {
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
        headers: { 'Idempotent-Replayed': '`true` if an earlier call with this key verified it' },
        body: {
          name: 'Verified',
          schema: verifiedSchema,
          example: { id: sentOtp.id, status: 'verified', verifiedAt: '2025-04-01T08:01:12.480Z' },
        },
      },
    },
    ended: countVerifications(dependencies),
  } as const satisfies Partial<Parameters<typeof defineRoute>[0]>;
  return [
    defineRoute({
      ...common,
      path: '/v1/otps/{id}/verify',
      operationId: 'verifyOtp',
      summary: 'Verify a code',
      description: onlyThisCall,
      body: { name: 'VerifyRequest', schema: verifyRequestSchema, example: { code: '123456' } },
      problems: verificationProblems,
      handle: ({ app, id, body: { code, binding }, headers, context }) =>
        verified({ app, id, code, binding, key: headers['Idempotency-Key'], context }),
    }),
    defineRoute({
      ...common,
      path: '/v1/verify',
      operationId: 'verifyOtpByNumber',
      summary: 'Verify a code by number',
      description: `For apps that store no OTP id: the code of the newest OTP of this number and purpose. ${onlyThisCall}`,
      body: {
        name: 'VerifyByNumberRequest',
        schema: verifyByNumberSchema,
        example: { to: '012-345 6789', code: '123456' },
      },
      problems: [...verificationProblems, 'invalid_phone_number'],
      handle: async ({ app, body: { to, code, purpose, binding }, headers, context }) => {
        const number = PhoneNumber.parse(to, dependencies.settings.defaultCountry);
        if (!number) throw new ApiProblem('invalid_phone_number');
        const asked = { app, to: number, purpose: purpose ?? null };
        const [newest] = await otpsOfNumber(dependencies.store, asked);
        if (!newest) throw new ApiProblem('otp_not_found');
        const key = headers['Idempotency-Key'];
        return await verified({ app, id: newest.id, code, binding, key, context });
      },
    }),
  ];
}

/** Counts verifications, as a route's `ended`. */
export function countVerifications({ metrics }: ApiDependencies) {
  return ({ app, problem, aborted }: RequestEnd): void =>
    metrics.verification(app, problem ?? (aborted ? 'aborted' : 'verified'));
}

/** After refusals of this many OTPs of an app in a row whose text does not say "wrong code", iSMS is out of order. */
const several = 3;

/** A code for an OTP of this app. */
interface TypedCode {
  app: string;
  id: string;
  code: string;
  /** What the caller takes the code to approve. */
  binding?: string | undefined;
  /** The client's idempotency key, if it sent one. */
  key: string | undefined;
  context: Pick<RequestContext, 'otpId'>;
}

/**
 * Admits an attempt, calls iSMS and settles the outcome. Resolves only if this very call verified the OTP, or an earlier
 * one with the same key, code and binding did; else throws the problem.
 */
export function createVerify(dependencies: ApiDependencies) {
  const unclearByApp = new Map<string, Set<string>>();
  return async (typed: TypedCode) => {
    const { app, id, code, binding, key, context } = typed;
    const replay = key === undefined ? null : { key, code, binding };
    const verification = { app, id, token: randomText(), replay };
    const admission = await dependencies.store.verificationAttempts.admit(verification);
    if (!('otp' in admission)) throw new ApiProblem(admission.kind);
    context.otpId = admission.otp.id;
    const unclear = unclearByApp.get(app) ?? new Set();
    unclearByApp.set(app, unclear);
    const replayed = admission.kind === 'replayed';
    const otp = replayed
      ? admission.otp
      : await decide({ ...dependencies, unclear }, { verification, otp: admission.otp, typed });
    if (otp.verifiedAt === null) throw new Error('a verified OTP has no time of verification');
    return { otp, verifiedAt: otp.verifiedAt, replayed };
  };
}

/** `unclear`: OTPs of the app refused in a row by a text that does not say whether the code was right. */
type DecideDependencies = ApiDependencies & { unclear: Set<string> };

async function decide(
  dependencies: DecideDependencies,
  { verification, otp, typed }: { verification: Verification; otp: Otp; typed: TypedCode },
): Promise<Otp> {
  const { store, provider, logger, metrics, unclear } = dependencies;
  const { code, binding } = typed;
  // The attempt is counted by now, so that a mismatch costs as much as a wrong code.
  const isBound = matchesBinding(otp.binding, binding);
  const outcome = isBound ? await provider.verify(verifyCall(otp, code)) : ({ kind: 'incorrect' } as const);
  if (isBound && !otp.isTest) trackUnclear(dependencies, otp, outcome);
  // Account trouble says as little about the code as an unknown text does.
  const aboutAccount = outcome.kind === 'unavailable' && isAccountTrouble(outcome.reason);
  const kind = aboutAccount ? 'unrecognised' : outcome.kind;
  const settled = await store.verificationAttempts.settle(verification, kind);
  if ('recipientLocked' in settled && settled.recipientLocked) {
    const { app, id, to } = settled.otp;
    logger.warn(
      { event: 'recipient.locked', app, otpId: id, to: to.masked },
      'number locked after too many wrong codes in a row; unlock it with `isms-otp numbers unlock`',
    );
  }
  const reason = 'reason' in outcome ? outcome.reason : null;
  switch (settled.kind) {
    case 'verified':
      if (!otp.isTest) metrics.verified(settled.otp);
      return settled.otp;
    case 'incorrect':
      throw incorrect(settled.otp, isBound ? 'incorrect_code' : 'binding_mismatch');
    case 'unrecognised':
      if (outcome.kind === 'unrecognised' && unclear.size < several)
        throw incorrect(settled.otp, 'incorrect_code');
      throw new ApiProblem('provider_unavailable', { reason: reason ?? 'unrecognised_refusal' });
    case 'unavailable':
      throw new ApiProblem('provider_unavailable', { reason: reason ?? 'lease_lapsed' });
    default:
      throw new ApiProblem(settled.kind);
  }
}

function trackUnclear(
  { logger, metrics, unclear }: DecideDependencies,
  { app, id }: Otp,
  outcome: VerifyOutcome,
): void {
  if (outcome.kind === 'correct' || outcome.kind === 'incorrect') unclear.clear();
  if (outcome.kind !== 'unrecognised') return;
  if (unclear.size < several) unclear.add(id);
  metrics.unrecognised('verify');
  logger.warn(
    { event: 'verification.unrecognised', app, otpId: id, refusal: outcome.text },
    'iSMS refused a verification with an unknown text',
  );
}

function incorrect({ attemptsRemaining }: Otp, code: 'incorrect_code' | 'binding_mismatch'): ApiProblem {
  return new ApiProblem(code, { members: { attemptsRemaining } });
}

function verifyCall(otp: Otp, code: string) {
  const { app, isTest, to, uuid, smsId, senderId, ttlSeconds } = otp;
  if (uuid === null || smsId === null) throw new Error('a sent OTP has no ids');
  return { app, isTest, to, uuid, smsId, code, senderId, validMinutes: Math.ceil(ttlSeconds / 60) };
}

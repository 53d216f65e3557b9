import { z } from 'zod';
import type { Logger } from '../../lib/logger.js';
import { countedAddress } from '../../otp/client-address.js';
import type { Otp, OtpRequest } from '../../otp/otp.js';
import {
  createPolicyCheck,
  createRequestReader,
  limitsFor,
  sendEndpoint,
} from '../../producer/otp-request.js';
import { clientIpSchema, otpRequestSchema } from '../../producer/otp-request-schema.js';
import type { RequestSettings } from '../../producer/settings.js';
import type { SendOtpQueue } from '../../queues/send-otp.js';
import type { Store } from '../../store/store.js';
import { otpRequestExample, queuedOtp } from '../docs/examples.js';
import { idempotencyKeyHeader } from '../http/idempotency-key.js';
import { longestWaitSeconds, waitSeconds } from '../http/prefer.js';
import { ApiProblem } from '../http/problem.js';
import type { ProblemCode } from '../http/problems.js';
import { defineRoute, type Route } from '../http/route.js';
import { problemOf, readable } from './acceptance-answer.js';
import { otpsOfNumber } from './otps-of-number.js';
import { otpSchema } from './schemas.js';
import { countRefusals, createCancel, createSend, type SendingDependencies, sentAnswer } from './sending.js';

/** What accepting an OTP needs. */
export interface CreateOtpDependencies extends SendingDependencies {
  store: SendingDependencies['store'] & Pick<Store, 'phones'>;
  sendOtpQueue: Pick<SendOtpQueue, 'remove'>;
  settings: RequestSettings;
  logger: Pick<Logger, 'warn'>;
}

const headersSchema = z.object({
  'Idempotency-Key': idempotencyKeyHeader
    .optional()
    .describe('With the same key and body again: the same OTP as it is now, and nothing is sent.'),
  Prefer: z
    .string()
    .optional()
    .describe(
      `\`wait=<seconds>\`, at most ${longestWaitSeconds}: answers when the OTP leaves \`queued\`/\`sending\`.`,
    ),
});

const headers = {
  Location: 'Path of the OTP',
  'Idempotent-Replayed': '`true` when this request was answered before',
  'Preference-Applied': 'The wait that was applied',
  'RateLimit-Policy': 'The limits that are on, as in draft-ietf-httpapi-ratelimit-headers',
  RateLimit: 'What is left of each',
};

const body = { name: 'Otp', schema: otpSchema, example: queuedOtp };

const answers = {
  200: {
    description: 'With `Prefer: wait`: it left `queued`/`sending`. Read `status`: it may be `failed`.',
    headers,
    body,
  },
  202: { description: 'Accepted.', headers, body },
};

/** Why an OTP that could be read is not accepted. */
const refusals = [
  'body_too_large',
  'unsupported_media_type',
  'idempotency_in_flight',
  'idempotency_key_reused',
  'phone_rate_limited',
  'app_rate_limited',
  'client_ip_rate_limited',
  'range_blocked',
  'phone_locked',
  'sending_paused',
  'overloaded',
  'queue_unavailable',
] as const satisfies readonly ProblemCode[];

/** What the operator decided about where SMS go, and what they say. */
const rules = ['country_not_allowed', 'message_not_allowed'] as const satisfies readonly ProblemCode[];

/** `POST /v1/otps`, and the same again for an OTP that did not arrive. */
export function createOtpRoutes(dependencies: CreateOtpDependencies): Route[] {
  return [createOtp(dependencies), resendOtp(dependencies)];
}

const tag = 'OTPs';
function createOtp(dependencies: CreateOtpDependencies): Route {
  const { settings } = dependencies;
  const reader = createRequestReader(settings);
  const send = createSend(dependencies);
  return defineRoute({
    method: 'post',
    path: '/v1/otps',
    operationId: 'createOtp',
    tag,
    summary: 'Send an OTP',
    description:
      'Accepts an OTP to be sent. iSMS makes the code and puts it in place of `%OTP%`; nobody else ever holds it.',
    body: { name: 'OtpRequest', schema: otpRequestSchema(settings), example: otpRequestExample },
    headers: headersSchema,
    answers,
    problems: [...refusals, 'invalid_phone_number', ...rules],
    ended: countRefusals(dependencies.metrics),
    handle: async ({ app, body, headers, setOtpId, gone }) => {
      const read = readable(reader.complete(app, body));
      const key = headers['Idempotency-Key'];
      const idempotency = key === undefined ? null : { endpoint: sendEndpoint, key, body: read.text };
      const seconds = waitSeconds(headers.Prefer);
      const sending = { request: read.request, idempotency, waitSeconds: seconds, signal: gone(), setOtpId };
      return sentAnswer(await send(sending), seconds);
    },
  });
}

const resendSchema = z.strictObject({ clientIp: clientIpSchema.optional() }).optional();

function resendOtp(dependencies: CreateOtpDependencies): Route {
  const { store, settings } = dependencies;
  const send = createSend(dependencies);
  const cancelEarlier = createCancelEarlier(dependencies);
  const judge = createPolicyCheck(settings);
  return defineRoute({
    method: 'post',
    path: '/v1/otps/{id}/resend',
    operationId: 'resendOtp',
    tag,
    summary: 'Send an OTP again',
    description:
      'A new OTP, with an id and a code of its own, to the same number with the same message: for a person to whom ' +
      'nothing came. All limits and rules hold; it counts for the client address of the earlier OTP unless this request ' +
      'names one. Once it is accepted, the earlier ones of this number and purpose are ' +
      'cancelled, so that one code counts.',
    body: { name: 'ResendRequest', schema: resendSchema, example: {}, optional: true },
    headers: headersSchema,
    answers,
    problems: [...refusals, 'otp_not_found', 'already_verified', ...rules],
    ended: countRefusals(dependencies.metrics),
    handle: async ({ app, id, body, headers, setOtpId, gone }) => {
      const earlier = await store.otps.find(app, id);
      if (!earlier) throw new ApiProblem('otp_not_found');
      const refusal = judge(earlier);
      if (refusal) throw problemOf(refusal);
      const request = againOf(earlier, { settings, clientIp: body?.clientIp });
      const key = headers['Idempotency-Key'];
      const endpoint = `POST /v1/otps/${id}/resend`;
      const idempotency = key === undefined ? null : { endpoint, key, body: JSON.stringify(body ?? {}) };
      const seconds = waitSeconds(headers.Prefer);
      const sending = { request, idempotency, waitSeconds: seconds, signal: gone(), setOtpId };
      return sentAnswer(await send({ ...sending, onAccepted: cancelEarlier(earlier) }), seconds);
    },
  });
}

/**
 * Takes the jobs of the earlier OTPs out of the queue and tells of their end at once. They count no more since the new one
 * was admitted (ADR 36), so that a failure is logged and the request goes on.
 */
function createCancelEarlier(dependencies: CreateOtpDependencies) {
  const { store, logger } = dependencies;
  const cancel = createCancel(dependencies);
  return ({ id, app, to, purpose }: Otp) =>
    async (accepted: Otp): Promise<void> => {
      try {
        const ofNumber = await otpsOfNumber(store, { app, to, purpose });
        // A request that comes again late must not cancel what was sent since.
        const older = ofNumber.filter(({ createdAt }) => createdAt < accepted.createdAt);
        const ids = new Set([id, ...older.map((otp) => otp.id)]);
        await Promise.all([...ids].map((each) => cancel(app, each)));
      } catch (err) {
        logger.warn({ event: 'otp.cancel_failed', otpId: accepted.id, err }, 'could not cancel earlier OTPs');
      }
    };
}

/** What was asked for the first time, for another OTP; throws the problem of one whose number needs none. */
function againOf(
  earlier: Otp,
  { settings, clientIp }: { settings: RequestSettings; clientIp: string | undefined },
): OtpRequest {
  const { app, to, message, unicode, credits, senderId, reference, purpose, ttlSeconds, maxAttempts } =
    earlier;
  if (earlier.status === 'verified') throw new ApiProblem('already_verified');
  return {
    ...{ app, to, message, unicode, credits, senderId, reference, purpose, ttlSeconds },
    maxAttempts,
    sendDeadlineSeconds: settings.sendDeadlineSeconds,
    replacesEarlier: true,
    clientIp: clientIp === undefined ? earlier.clientIp : countedAddress(clientIp),
    ...limitsFor(settings.apps.of(app), to),
  };
}

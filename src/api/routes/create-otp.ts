import { z } from 'zod';
import { countedAddress } from '../../otp/client-address.js';
import { parseMessage } from '../../otp/message.js';
import type { Otp, OtpRequest } from '../../otp/otp.js';
import {
  clientIpSchema,
  createPolicyCheck,
  createRequestReader,
  limitsFor,
  otpRequestSchema,
  type RequestSettings,
  sendEndpoint,
} from '../../producer/otp-request.js';
import type { ApiDependencies } from '../dependencies.js';
import { queuedOtp } from '../docs/examples.js';
import { rateLimitHeaders } from '../docs/openapi.js';
import { ApiProblem } from '../http/problem.js';
import type { ProblemCode } from '../http/problems.js';
import { idempotencyKeyHeader, longestWaitSeconds, waitSeconds } from '../http/request.js';
import { defineRoute, type Route } from '../http/route.js';
import { createCancel, otpsOfNumber } from './otps.js';
import { otpSchema } from './schemas.js';
import { countRefusals, createSend, problemOf, readable, sentAnswer } from './sending.js';

const headersSchema = z.object({
  'Idempotency-Key': idempotencyKeyHeader
    .optional()
    .describe(
      'A repeated key with the same body returns the same OTP with its current status; nothing is sent again ' +
        '(draft-ietf-httpapi-idempotency-key-header-07).',
    ),
  Prefer: z
    .string()
    .optional()
    .describe(
      `\`wait=<seconds>\`, at most ${longestWaitSeconds}: waits until the OTP leaves \`queued\` and \`sending\`.`,
    ),
});

const headers = {
  Location: 'Path of the OTP',
  'Idempotent-Replayed': '`true` if this key was used before',
  'Preference-Applied': 'The wait that was applied',
  ...rateLimitHeaders,
};

const body = { name: 'Otp', schema: otpSchema, example: queuedOtp };

const answers = {
  200: {
    description:
      'With `Prefer: wait`: the OTP left `queued` and `sending`. Check `status`: it may be `failed`.',
    headers,
    body,
  },
  202: { description: 'Accepted.', headers, body },
};

/** Refusals of a valid request. */
const refusals = [
  'body_too_large',
  'unsupported_media_type',
  'idempotency_in_flight',
  'idempotency_key_reused',
  'recipient_rate_limited',
  'app_rate_limited',
  'app_budget_exceeded',
  'client_ip_rate_limited',
  'limit_key_rate_limited',
  'recipient_denied',
  'range_blocked',
  'recipient_locked',
  'sending_paused',
  'app_paused',
  'overloaded',
  'queue_unavailable',
] as const satisfies readonly ProblemCode[];

/** Refusals by the operator's rules on countries and content. */
const rules = ['country_not_allowed', 'message_not_allowed'] as const satisfies readonly ProblemCode[];

/** Send an OTP, and send it again. */
export function createOtpRoutes(dependencies: ApiDependencies): Route[] {
  const common = {
    method: 'post',
    tag: 'OTPs',
    headers: headersSchema,
    answers,
    ended: countRefusals(dependencies),
  } as const satisfies Partial<Parameters<typeof defineRoute>[0]>;
  const { store, settings } = dependencies;
  const reader = createRequestReader(settings);
  const checkPolicy = createPolicyCheck(settings);
  const cancelEarlier = createCancelEarlier(dependencies);
  const send = createSend(dependencies);
  return [
    defineRoute({
      ...common,
      path: '/v1/otps',
      operationId: 'createOtp',
      summary: 'Send an OTP',
      description:
        'Accepts an OTP to be sent. iSMS creates the code and puts it in place of `%OTP%`; the gateway never stores it.',
      body: {
        name: 'OtpRequest',
        schema: otpRequestSchema(settings),
        example: { to: '+60123456789', message: 'Your code is %OTP%', reference: 'signup-4711' },
      },
      problems: [...refusals, 'invalid_phone_number', ...rules],
      handle: async ({ app, body, headers, context, abortSignal }) => {
        const { request, text } = readable(reader.complete(app, body));
        const asked = askedBy(headers, { endpoint: sendEndpoint, body: text });
        const sent = await send({ request, ...asked, abortSignal, context });
        return sentAnswer(sent, asked.waitSeconds);
      },
    }),
    defineRoute({
      ...common,
      path: '/v1/otps/{id}/resend',
      operationId: 'resendOtp',
      summary: 'Send an OTP again',
      description:
        'Creates a new OTP, with its own id and code, for the same number and message, for a user who got no SMS. All ' +
        'limits and rules apply; it counts for the `limitKeys` of the earlier OTP, and for its client address unless this ' +
        'request has a `clientIp`. ' +
        'Once it is accepted, earlier OTPs of this number and purpose are cancelled, so that only one code is valid. It approves the same ' +
        '`binding`.',
      body: { name: 'ResendRequest', schema: resendSchema, example: {}, optional: true },
      problems: [...refusals, 'otp_not_found', 'already_verified', ...rules],
      handle: async ({ app, id, body, headers, context, abortSignal }) => {
        const earlier = await store.otps.find(app, id);
        if (!earlier) throw new ApiProblem('otp_not_found');
        const refusal = checkPolicy(earlier);
        if (refusal) throw problemOf(refusal);
        const request = againOf(earlier, { settings, clientIp: body?.clientIp });
        const endpoint = `POST /v1/otps/${id}/resend`;
        const asked = askedBy(headers, { endpoint, body: JSON.stringify(body ?? {}) });
        const sending = { request, ...asked, abortSignal, context };
        return sentAnswer(await send({ ...sending, onAccepted: cancelEarlier(earlier) }), asked.waitSeconds);
      },
    }),
  ];
}

const resendSchema = z
  .strictObject({ clientIp: clientIpSchema.optional() })
  .optional()
  .describe('Options of a resend.');

/** Idempotency key and wait of a send, from its headers. */
function askedBy(
  { 'Idempotency-Key': key, Prefer }: z.output<typeof headersSchema>,
  keyed: { endpoint: string; body: string },
) {
  return { idempotency: key === undefined ? null : { ...keyed, key }, waitSeconds: waitSeconds(Prefer) };
}

/**
 * Removes the jobs of earlier OTPs and ends them at once. Their codes are invalid since the admission of the new OTP
 * (ADR 36), so a failure is only logged.
 */
function createCancelEarlier(dependencies: ApiDependencies) {
  const { store, logger } = dependencies;
  const cancel = createCancel(dependencies);
  return ({ id, app, to, purpose }: Otp) =>
    async (accepted: Otp): Promise<void> => {
      try {
        const ofNumber = await otpsOfNumber(store, { app, to, purpose });
        // A late replay must not cancel newer OTPs.
        const older = ofNumber.filter(({ createdAt }) => createdAt < accepted.createdAt);
        const ids = new Set([id, ...older.map((otp) => otp.id)]);
        await Promise.all([...ids].map((each) => cancel(app, each)));
      } catch (err) {
        logger.warn({ event: 'otp.cancel_failed', otpId: accepted.id, err }, 'could not cancel earlier OTPs');
      }
    };
}

/** The earlier request, for a new OTP; throws `already_verified`. */
function againOf(
  earlier: Otp,
  { settings, clientIp }: { settings: RequestSettings; clientIp: string | undefined },
): OtpRequest {
  const { app, to, message, unicode, senderId, reference, purpose, template } = earlier;
  const { ttlSeconds, limitKeys, binding } = earlier;
  if (earlier.status === 'verified') throw new ApiProblem('already_verified');
  const { credits } = { ...earlier, ...parseMessage(message) };
  const limits = limitsFor(settings.apps.of(app), to);
  return {
    ...{ app, to, message, unicode, senderId, reference, purpose, template },
    ...{ ttlSeconds, limitKeys, binding },
    // The number may have become a test number since, or ceased to be one.
    credits: limits.isTest ? 0 : credits,
    maxAttempts: earlier.maxAttempts,
    sendDeadlineSeconds: settings.sendDeadlineSeconds,
    replacesEarlier: true,
    clientIp: clientIp === undefined ? earlier.clientIp : countedAddress(clientIp),
    ...limits,
  };
}

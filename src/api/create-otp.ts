import { z } from 'zod';
import type { Otp } from '../otp/otp.js';
import { isPending } from '../otp/states.js';
import type { Acceptor } from '../producer/acceptance.js';
import { createRequestReader, sendEndpoint } from '../producer/otp-request.js';
import { idempotencyKeySchema, otpRequestSchema } from '../producer/otp-request-schema.js';
import { timely } from '../producer/redis-trouble.js';
import type { RequestSettings } from '../producer/settings.js';
import type { Store } from '../store/store.js';
import { accepted, readable } from './acceptance-answer.js';
import { otpRequestExample, queuedOtp } from './examples.js';
import type { ApiMetrics } from './metrics.js';
import { otpSchema, otpView } from './otp-schemas.js';
import { longestWaitSeconds, waitSeconds } from './prefer.js';
import { type Answer, defineRoute, type Route } from './route.js';
import { waitForEnd } from './wait-for-end.js';

/** What accepting an OTP needs. */
export interface CreateOtpDependencies {
  store: Pick<Store, 'otps'>;
  acceptor: Pick<Acceptor, 'one'>;
  settings: RequestSettings;
  metrics: Pick<ApiMetrics, 'accepted' | 'refused'>;
}

const headersSchema = z.object({
  'Idempotency-Key': idempotencyKeySchema
    .optional()
    .describe('With the same key and body again: the same OTP as it is now, and nothing is sent.'),
  Prefer: z
    .string()
    .optional()
    .describe(
      `\`wait=<seconds>\`, at most ${longestWaitSeconds}: answers when the OTP leaves \`queued\`/\`sending\`.`,
    ),
});

const answerHeaders = {
  Location: 'Path of the OTP',
  'Idempotent-Replayed': '`true` when this request was answered before',
  'Preference-Applied': 'The wait that was applied',
  'RateLimit-Policy': 'The limits that are on, as in draft-ietf-httpapi-ratelimit-headers',
  RateLimit: 'What is left of each',
};

/** `POST /v1/otps`. */
export function createOtpRoute(dependencies: CreateOtpDependencies): Route {
  const { store, acceptor, settings, metrics } = dependencies;
  const reader = createRequestReader(settings);
  const bodySchema = otpRequestSchema(settings);
  const otpBody = { name: 'Otp', schema: otpSchema, example: queuedOtp };
  return defineRoute({
    method: 'post',
    path: '/v1/otps',
    operationId: 'createOtp',
    tag: 'OTPs',
    summary: 'Send an OTP',
    description:
      'Accepts an OTP to be sent. iSMS makes the code and puts it in place of `%OTP%`; nobody else ever holds it.',
    body: { name: 'OtpRequest', schema: bodySchema, example: otpRequestExample },
    headers: headersSchema,
    answers: {
      200: {
        description: 'With `Prefer: wait`: it left `queued`/`sending`. Read `status`: it may be `failed`.',
        headers: answerHeaders,
        body: otpBody,
      },
      202: {
        description: 'Accepted.',
        headers: answerHeaders,
        body: otpBody,
      },
    },
    problems: [
      'body_too_large',
      'unsupported_media_type',
      'idempotency_in_flight',
      'idempotency_key_reused',
      'invalid_phone_number',
      'country_not_allowed',
      'message_not_allowed',
      'phone_rate_limited',
      'app_rate_limited',
      'client_ip_rate_limited',
      'prefix_blocked',
      'phone_locked',
      'sending_paused',
      'overloaded',
      'queue_unavailable',
    ],
    ended: ({ app, problem }) => {
      if (problem !== null) metrics.refused(app, 'single', problem);
    },
    handle: async ({ app, body, headers, concerns, gone }) => {
      const read = readable(reader.complete(app, body));
      const key = headers['Idempotency-Key'];
      const idempotency = key === undefined ? null : { endpoint: sendEndpoint, key, body: read.text };
      const { kind, otp, limits } = accepted(await acceptor.one(read.request, idempotency));
      concerns(otp.id);
      if (kind === 'accepted') metrics.accepted(app, 'single');
      const seconds = waitSeconds(headers.Prefer);
      const find = () => timely(store.otps.find(app, otp.id));
      const seen =
        seconds === null ? otp : await waitForEnd(otp, { forMs: seconds * 1_000, signal: gone(), find });
      return answer(seen, { replayed: kind === 'replayed', seconds, limits });
    },
  });
}

function answer(
  otp: Otp,
  {
    replayed,
    seconds,
    limits,
  }: { replayed: boolean; seconds: number | null; limits: Record<string, string> },
): Answer {
  return {
    status: seconds !== null && !isPending(otp.status) ? 200 : 202,
    headers: {
      Location: `/v1/otps/${otp.id}`,
      ...(replayed && { 'Idempotent-Replayed': 'true' }),
      ...(seconds !== null && { 'Preference-Applied': `wait=${seconds}` }),
      ...limits,
    },
    body: otpView(otp),
  };
}

import { z } from 'zod';
import { referenceSchema } from '../../producer/otp-request-schema.js';
import type { SendOtpQueue } from '../../queues/send-otp.js';
import type { Store } from '../../store/store.js';
import { sentOtp } from '../docs/examples.js';
import { ApiProblem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';
import { otpView } from './otp-view.js';
import { otpSchema } from './schemas.js';
import { createCancel } from './sending.js';

export interface OtpsDependencies {
  store: Pick<Store, 'otps'>;
  sendOtpQueue: Pick<SendOtpQueue, 'remove'>;
}

const tag = 'OTPs';

/** Looking OTPs up and cancelling them. Those of other apps do not exist. */
export function otpRoutes(dependencies: OtpsDependencies): Route[] {
  return [getOtp(dependencies), listOtps(dependencies), cancelOtp(dependencies)];
}

function getOtp({ store }: OtpsDependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/v1/otps/{id}',
    operationId: 'getOtp',
    tag,
    summary: 'Look an OTP up',
    description:
      'The OTP as it is now: `queued` → `sending` → `sent` → `verified`, `expired` or `locked`; or `failed`, ' +
      '`expired` with `not_sent_in_time`, `unknown` (an SMS may have gone out, its ids are lost), `cancelled`.',
    answers: {
      200: { description: 'The OTP.', body: { name: 'Otp', schema: otpSchema, example: sentOtp } },
    },
    problems: ['otp_not_found', 'queue_unavailable'],
    handle: async ({ app, id, setOtpId }) => {
      const otp = await store.otps.find(app, id);
      if (!otp) throw new ApiProblem('otp_not_found');
      setOtpId(otp.id);
      return { status: 200, body: otpView(otp) };
    },
  });
}

function listOtps({ store }: OtpsDependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/v1/otps',
    operationId: 'findOtps',
    tag,
    summary: 'Find OTPs by your own id',
    description: 'The OTPs that carry this reference, the newest first, at most 100.',
    query: z.strictObject({ reference: referenceSchema }),
    answers: {
      200: {
        description: 'None, one or several.',
        body: {
          name: 'OtpList',
          schema: z.object({ otps: z.array(otpSchema) }),
          example: { otps: [sentOtp] },
        },
      },
    },
    problems: ['queue_unavailable'],
    handle: async ({ app, query }) => {
      const otps = await store.otps.findByReference(app, query.reference);
      return { status: 200, body: { otps: otps.map(otpView) } };
    },
  });
}

function cancelOtp(dependencies: OtpsDependencies): Route {
  const cancel = createCancel(dependencies);
  return defineRoute({
    method: 'delete',
    path: '/v1/otps/{id}',
    operationId: 'cancelOtp',
    tag,
    summary: 'Cancel an OTP',
    description:
      'Takes it out of the queue if it has not been sent; a code already sent can no longer be verified. Again, ' +
      'or on one that ended otherwise: nothing changes.',
    answers: { 204: { description: 'Cancelled, or over before.' } },
    problems: ['otp_not_found', 'already_verified', 'queue_unavailable'],
    handle: async ({ app, id, setOtpId }) => {
      const result = await cancel(app, id);
      if (result !== 'otp_not_found') setOtpId(id);
      if (result !== 'cancelled') throw new ApiProblem(result);
      return { status: 204 };
    },
  });
}

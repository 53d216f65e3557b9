import type { z } from 'zod';
import { failureMessages } from '../../otp/failure.js';
import type { Otp } from '../../otp/otp.js';
import type { otpSchema } from './schemas.js';

/** What an app reads about its OTP. */
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

/** Milliseconds since 1970 as text: UTC with milliseconds. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

import { z } from 'zod';
import { type FailureCode, failureMessages } from '../otp/failure.js';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { PhoneNumber } from '../otp/phone-number.js';
import { statuses } from '../otp/states.js';
import type { Sealer } from './sealing.js';

const failureCodes = Object.keys(failureMessages) as FailureCode[];

/** What callers read of a record; the rest is for the Lua functions alone. Times are Redis's, in ms. */
export const recordSchema = z.object({
  id: z.string(),
  app: z.string(),
  sealed: z.string(),
  status: z.enum(statuses),
  credits: z.number(),
  ttlSeconds: z.number(),
  maxAttempts: z.number(),
  attempts: z.number(),
  sends: z.number(),
  retries: z.number(),
  unknowns: z.number(),
  createdAt: z.number(),
  sendBefore: z.number(),
  claimedAt: z.number().optional(),
  sentAt: z.number().optional(),
  expiresAt: z.number().optional(),
  verifiedAt: z.number().optional(),
  uuid: z.string().optional(),
  smsId: z.string().optional(),
  failure: z.enum(failureCodes).optional(),
});

export type OtpRecord = z.infer<typeof recordSchema>;

/** Calling code, national number, country, message, whether it is Unicode, sender ID, reference. */
const sealedSchema = z.tuple([
  z.string(),
  z.string(),
  z.string(),
  z.string(),
  z.boolean(),
  z.string().nullable(),
  z.string().nullable(),
]);

/** Phone number, message, sender ID and reference as one sealed text, bound to the OTP's id. */
export function sealRequest(sealer: Sealer, id: string, request: OtpRequest): string {
  const { to, message, unicode, senderId, reference } = request;
  const fields: z.infer<typeof sealedSchema> = [
    to.callingCode,
    to.national,
    to.country,
    message,
    unicode,
    senderId,
    reference,
  ];
  return sealer.seal(id, JSON.stringify(fields));
}

/** Opens a record. Throws when no data key fits. */
export function toOtp(sealer: Sealer, record: OtpRecord): Otp {
  const [callingCode, national, country, message, unicode, senderId, reference] = sealedSchema.parse(
    JSON.parse(sealer.open(record.id, record.sealed)),
  );
  return {
    message,
    unicode,
    senderId,
    reference,
    id: record.id,
    app: record.app,
    status: record.status,
    to: PhoneNumber.restore({ callingCode, national, country }),
    credits: record.credits,
    ttlSeconds: record.ttlSeconds,
    createdAt: record.createdAt,
    sendBefore: record.sendBefore,
    sentAt: record.sentAt ?? null,
    expiresAt: record.expiresAt ?? null,
    verifiedAt: record.verifiedAt ?? null,
    attemptsRemaining: record.maxAttempts - record.attempts,
    uuid: record.uuid ?? null,
    smsId: record.smsId ?? null,
    failure: record.failure ?? null,
  };
}

import { z } from 'zod';
import { type FailureCode, failureMessages, type Otp, type OtpRequest, statuses } from '../otp/otp.js';
import { PhoneNumber } from '../otp/phone-number.js';
import type { Encrypter } from './encryption.js';

/** Every reason for which an OTP did not go well. */
export const failureCodes = Object.keys(failureMessages) as [FailureCode, ...FailureCode[]];

/** What callers read of a record; the rest is for the Lua functions alone. Times are Redis's, in ms. */
export const recordSchema = z.object({
  id: z.string(),
  app: z.string(),
  encrypted: z.string(),
  batch: z.string().optional(),
  purpose: z.string().optional(),
  template: z.string().optional(),
  isTest: z.literal(true).optional(),
  status: z.enum(statuses),
  credits: z.number(),
  ttlSeconds: z.number(),
  maxAttempts: z.number(),
  attempts: z.number().default(0),
  claims: z.number().default(0),
  retries: z.number().default(0),
  unknowns: z.number().default(0),
  presumed: z.number().default(0),
  createdAt: z.number(),
  sendDeadline: z.number(),
  claimedAt: z.number().optional(),
  sentAt: z.number().optional(),
  expiresAt: z.number().optional(),
  verifiedAt: z.number().optional(),
  uuid: z.string().optional(),
  smsId: z.string().optional(),
  failure: z.enum(failureCodes).optional(),
  /** Its failure if its unrecognised refusals are final; claim times of the last and of the first refused call. */
  refusal: z.enum(failureCodes).optional(),
  refusedAt: z.number().optional(),
  firstRefusedAt: z.number().optional(),
});

export type OtpRecord = z.infer<typeof recordSchema>;

/** Calling code, national number, country, message, whether it is Unicode, sender ID, reference, client address, limit keys, binding. */
const encryptedSchema = z.tuple([
  z.string(),
  z.string(),
  z.string(),
  z.string(),
  z.boolean(),
  z.string().nullable(),
  z.string().nullable(),
  z.string().nullable().optional(),
  z.record(z.string(), z.string()).nullable().optional(),
  z.string().nullable().optional(),
]);

/** Phone number, message and other personal members as one encrypted text, bound to the OTP's id. */
export function encryptRequest(encrypter: Encrypter, id: string, request: OtpRequest): string {
  const { to, message, unicode, senderId, reference, clientIp, limitKeys, binding } = request;
  const fields: z.infer<typeof encryptedSchema> = [
    to.callingCode,
    to.national,
    to.country,
    message,
    unicode,
    senderId,
    reference,
    clientIp,
  ];
  if (limitKeys || binding) fields.push(limitKeys, binding);
  return encrypter.encrypt(id, JSON.stringify(fields));
}

/** A new OTP as its record has it, from what was asked for. */
export function newOtp(
  id: string,
  request: OtpRequest,
  { createdAt, inBatch, startAt }: Pick<Otp, 'createdAt' | 'inBatch'> & { startAt: number | null },
): Otp {
  const { app, to, message, unicode, senderId, reference, clientIp, limitKeys, binding } = request;
  const { credits, ttlSeconds, maxAttempts } = request;
  return {
    id,
    app,
    to,
    message,
    unicode,
    senderId,
    reference,
    clientIp,
    limitKeys,
    binding,
    purpose: request.purpose,
    template: request.template,
    isTest: request.isTest,
    inBatch,
    credits,
    ttlSeconds,
    createdAt,
    status: 'queued',
    sendDeadline: Math.max(createdAt, startAt ?? 0) + request.sendDeadlineSeconds * 1_000,
    sentAt: null,
    expiresAt: null,
    verifiedAt: null,
    maxAttempts,
    attemptsRemaining: maxAttempts,
    uuid: null,
    smsId: null,
    failure: null,
  };
}

/** The unencrypted fields of an OTP; every field that can change is among them. */
export function plainFields(record: OtpRecord) {
  return {
    id: record.id,
    app: record.app,
    status: record.status,
    purpose: record.purpose ?? null,
    template: record.template ?? null,
    isTest: record.isTest === true,
    inBatch: record.batch !== undefined,
    credits: record.credits,
    ttlSeconds: record.ttlSeconds,
    createdAt: record.createdAt,
    sendDeadline: record.sendDeadline,
    sentAt: record.sentAt ?? null,
    expiresAt: record.expiresAt ?? null,
    verifiedAt: record.verifiedAt ?? null,
    maxAttempts: record.maxAttempts,
    attemptsRemaining: record.maxAttempts - record.attempts,
    uuid: record.uuid ?? null,
    smsId: record.smsId ?? null,
    failure: record.failure ?? null,
  };
}

export type OtpFacts = ReturnType<typeof plainFields>;

/** Opens a record as Redis has it. Throws when it is broken, or no encryption key fits. */
export function openRecord(encrypter: Encrypter, raw: string): Otp {
  return toOtp(encrypter, recordSchema.parse(JSON.parse(raw)));
}

/** Opens a record. Throws when no encryption key fits. */
export function toOtp(encrypter: Encrypter, record: OtpRecord): Otp {
  const [callingCode, national, country, message, unicode, senderId, reference, ...more] =
    encryptedSchema.parse(JSON.parse(encrypter.decrypt(record.id, record.encrypted)));
  const [clientIp = null, limitKeys = null, binding = null] = more;
  const to = PhoneNumber.restore({ callingCode, national, country });
  // A spread of the facts with further members takes 12 µs (measured).
  const opened = { to, message, unicode, senderId, reference, clientIp, limitKeys, binding };
  return Object.assign(plainFields(record), opened);
}

import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { OtpRequest } from '../../src/otp/otp.js';
import { PhoneNumber } from '../../src/otp/phone-number.js';
import type { Refusal, RefusalCode } from '../../src/otp/refusal.js';
import { addJobFunction } from '../../src/queues/add-jobs.js';
import { createEncrypter } from '../../src/store/encryption.js';
import type { Policy } from '../../src/store/script.js';
import type { SendClaim } from '../../src/store/send-attempts.js';
import { createStore, type Store } from '../../src/store/store.js';

export const encryptionKey = randomBytes(32);

export const balanceLimits = { lowCredits: 100, expiryWarnDays: 14 };

export const policy: Policy = {
  retentionMs: 60_000,
  sendLeaseMs: 30_000,
  verifyLeaseMs: 12_000,
  maxSendRetries: 10,
  maxResendsAfterUnknown: 1,
  recipientCooldownMs: 0,
  recipientPer10Minutes: 0,
  recipientPerDay: 0,
  recipientPerDayAllApps: 0,
  appPerSecond: 0,
  clientIpPer10Minutes: 0,
  creditsPerDay: 0,
  creditsPerMonth: 0,
  budgetTimeZone: 'Asia/Kuala_Lumpur',
  maxWrongCodes: 100,
  fraudGuard: 'off',
  events: '',
};

/** The hash in which BullMQ keeps an operator's pause of the send queue. */
export const operatorPauseKey = '{isms}:otp-send:meta';

export function testStore(
  redis: Redis,
  overrides: Partial<Policy> = {},
  encryptionKeys: [Buffer, ...Buffer[]] = [encryptionKey],
): Store {
  return createStore({
    redis,
    encrypter: createEncrypter(encryptionKeys),
    policy: { ...policy, ...overrides },
    operatorPauseKeys: [operatorPauseKey],
    addJobFunction,
    balanceLimits,
  });
}

export const number = (text = '0123456789'): PhoneNumber => {
  const parsed = PhoneNumber.parse(text, 'MY');
  if (!parsed) throw new Error('not a mobile number');
  return parsed;
};

export function request(overrides: Partial<OtpRequest> = {}): OtpRequest {
  return {
    app: 'shop',
    to: number(),
    message: 'Your code is %OTP%',
    unicode: false,
    credits: 1,
    senderId: null,
    reference: null,
    ttlSeconds: 300,
    sendDeadlineSeconds: 120,
    maxAttempts: 5,
    clientIp: null,
    limitKeys: null,
    binding: null,
    purpose: null,
    template: null,
    limits: null,
    keyLimits: new Map(),
    isTest: false,
    ...overrides,
  };
}

/** The admission of an OTP that is refused with this code. */
export function refused(code: RefusalCode, more: Partial<Refusal> = {}) {
  return { kind: 'refused', refusal: { code, ...more } } as const;
}

/** An admitted OTP's id. */
export async function admitted(store: Store, overrides: Partial<OtpRequest> = {}): Promise<string> {
  const admission = await store.otps.admit(request(overrides), null);
  if (admission.kind !== 'created') throw new Error(admission.kind);
  return admission.otp.id;
}

/** A claim on the OTP's next send, which must be free. */
export async function claimed(store: Store, id: string): Promise<SendClaim> {
  const result = await store.sendAttempts.claim(id, randomBytes(6).toString('hex'));
  if (result.kind !== 'claimed') throw new Error(result.kind);
  return result.claim;
}

export const ids = (n = 1) => ({ uuid: `uuid-${n}`, smsId: `${n}` });
export const accepted = (n = 1) => ({ kind: 'accepted', ...ids(n) }) as const;
export const unknown = { kind: 'unknown', reason: 'timeout' } as const;
export const unsent = { kind: 'unsent', reason: 'not_connected' } as const;
export const rejected = { kind: 'rejected', failure: 'invalid_number' } as const;
export const accountTrouble = { kind: 'account_trouble', trouble: 'insufficient_credits' } as const;

/** An OTP that has been sent. */
export async function sent(store: Store, overrides: Partial<OtpRequest> = {}): Promise<string> {
  const id = await admitted(store, overrides);
  await store.sendAttempts.settle(await claimed(store, id), accepted());
  return id;
}

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** An OTP as metrics count it, sent now, so long after its acceptance. */
export function sentAfter(ms: number) {
  const now = Date.now();
  return { ...request(), createdAt: now - ms, sentAt: now };
}

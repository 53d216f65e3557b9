import { inspect } from 'node:util';
import { expect } from 'vitest';
import { createIsmsProvider } from '../../src/isms/provider.js';
import { PhoneNumber } from '../../src/otp/phone-number.js';
import {
  type CallWindow,
  momentIn,
  type Provider,
  type SendCall,
  type VerifyCall,
} from '../../src/otp/provider.js';

/** What must never come out again. */
export const canaries = {
  password: 'canary-pass&=%+ß',
  enteredCode: '700118',
  sentCode: '700117',
  national: '1123456789',
};

export const number = PhoneNumber.restore({ callingCode: '60', national: canaries.national, country: 'MY' });

export const sendCall: SendCall = {
  app: 'shop',
  isTest: false,
  to: number,
  message: 'Your code & more: %OTP%',
  unicode: false,
  senderId: null,
  callNumber: 1,
};

export const ids = { uuid: 'bd9a1ff0-4f2c-11eb-9b62-008cfaff44de', smsId: '1171081025' };

export const verifyCall: VerifyCall = {
  app: 'shop',
  isTest: false,
  to: number,
  ...ids,
  code: canaries.enteredCode,
  validMinutes: 5,
  senderId: null,
};

/** The members that every reply of the provider carries, the code of the OTP among them. */
export const echoed = {
  code: canaries.sentCode,
  uuid: ids.uuid,
  sms_id: ids.smsId,
  mobile: `+60${canaries.national}`,
};

/** No call on any machine takes so long, in milliseconds. */
const longMs = 20_000;

/** A send window that is open for `ms` milliseconds. */
export function windowOf(ms = longMs): CallWindow {
  const endBy = performance.now() + ms;
  return { leaveBy: momentIn(endBy - performance.now()), endBy };
}

/** A provider at these addresses, separated by commas, whose outcomes and errors are searched for canaries. */
export function openAccount(
  urls: string,
  options: Partial<Parameters<typeof createIsmsProvider>[0]> = {},
): Provider {
  const provider = createIsmsProvider({
    urls: urls.split(','),
    username: 'canary-user',
    password: canaries.password,
    connectTimeoutMs: longMs,
    sendTimeoutMs: longMs,
    verifyTimeoutMs: longMs,
    sendConnections: 2,
    verifyConnections: 2,
    ...options,
  });
  return {
    send: (call, window) => searched(provider.send(call, window)),
    verify: (call) => searched(provider.verify(call)),
    balance: () => searched(provider.balance()),
    close: provider.close,
  };
}

async function searched<T>(pending: Promise<T>): Promise<T> {
  return pending.then(
    (outcome) => {
      expectNoCanary(outcome);
      return outcome;
    },
    (error) => {
      expectNoCanary(error);
      throw error;
    },
  );
}

/** Fails when a canary occurs in anything that the value holds or prints. */
export function expectNoCanary(value: unknown): void {
  const text = `${JSON.stringify(value)} ${inspect(value, { depth: 20, showHidden: true, getters: true })}`;
  for (const canary of [...Object.values(canaries), 'canary', '%OTP%', 'request.php']) {
    expect(text.includes(canary), `holds a canary: ${canary.slice(0, 3)}…`).toBe(false);
    expect(text.includes(encodeURIComponent(canary))).toBe(false);
  }
}

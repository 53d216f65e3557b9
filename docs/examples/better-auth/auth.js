// Better Auth with codes that iSMS makes: its phone-number plugin asks the gateway to send, and to verify.
//
// In an app of your own: npm install better-auth, and isms-otp-client as docs/guides/sign-in.md says
import { betterAuth } from 'better-auth';
import { APIError } from 'better-auth/api';
import { phoneNumber } from 'better-auth/plugins';
import { isOtpError, OtpClient } from 'isms-otp-client';

/** Apart from codes that the same app sends for something else. */
const purpose = 'sign-in';

/** What says that a code is not to be accepted; everything else says that nobody knows. */
const wrongCode = [
  'invalid_request',
  'incorrect_code',
  'otp_not_found',
  'already_verified',
  'not_sent',
  'not_verifiable',
  'otp_expired',
  'otp_cancelled',
  'attempts_exhausted',
];

/** The whole configuration; `database` as Better Auth has it (https://better-auth.com/docs/concepts/database). */
export function createAuth({ baseURL, secret, database, otpUrl, otpKey }) {
  const otps = new OtpClient({ baseUrl: otpUrl, apiKey: otpKey });
  return betterAuth({
    baseURL,
    secret,
    database,
    // A code that signs in must not change a password: these would take any code that verifyOTP takes.
    disabledPaths: [
      '/sign-in/phone-number',
      '/phone-number/request-password-reset',
      '/phone-number/reset-password',
    ],
    plugins: [
      phoneNumber({
        // One way to write a number, so that nobody has two accounts.
        phoneNumberValidator: (number) => /^\+[1-9]\d{7,14}$/.test(number),
        // Better Auth makes a code of its own, which nobody ever sees: iSMS makes the one that counts.
        sendOTP: async ({ phoneNumber }, ctx) => {
          const clientIp = ctx?.headers?.get('x-client-ip') ?? undefined;
          await asApiError(otps.send({ to: phoneNumber, purpose, ...(clientIp && { clientIp }) }));
        },
        // The newest code of this number; true only when this very call verified it.
        verifyOTP: async ({ phoneNumber, code }) => {
          try {
            await otps.verifyByNumber({ to: phoneNumber, code, purpose });
            return true;
          } catch (error) {
            if (isOtpError(error, ...wrongCode)) return false;
            return await asApiError(Promise.reject(error));
          }
        },
        signUpOnVerification: {
          getTempEmail: (number) => `${number.replace('+', '')}@phone.invalid`,
        },
      }),
    ],
  });
}

/** What the gateway refuses becomes an answer of Better Auth's own, with the gateway's words. */
async function asApiError(call) {
  try {
    return await call;
  } catch (error) {
    if (!isOtpError(error)) throw error;
    const status =
      error.status === 429
        ? 'TOO_MANY_REQUESTS'
        : error.status === 422
          ? 'BAD_REQUEST'
          : 'SERVICE_UNAVAILABLE';
    throw new APIError(status, { code: error.code.toUpperCase(), message: error.detail });
  }
}

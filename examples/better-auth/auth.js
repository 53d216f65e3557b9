// Better Auth with codes that iSMS makes: its phone-number plugin asks the gateway to send, and to verify.
//
// In an app of your own: npm install better-auth isms-otp-gateway
import { betterAuth } from 'better-auth';
import { APIError } from 'better-auth/api';
import { phoneNumber } from 'better-auth/plugins';
import { isOtpError, OtpClient } from 'isms-otp-gateway/client';

/** Apart from codes that the same app sends for something else. */
const purpose = 'sign-in';

/** The whole configuration; `database` as Better Auth has it (https://better-auth.com/docs/concepts/database). */
export function createAuth({ baseURL, secret, database, otpUrl, otpKey }) {
  const otps = new OtpClient({ baseUrl: otpUrl, apiKey: otpKey });
  return betterAuth({
    baseURL,
    secret,
    database,
    plugins: [
      phoneNumber({
        // Better Auth makes a code of its own, which nobody ever sees: iSMS makes the one that counts.
        sendOTP: async ({ phoneNumber }, ctx) => {
          await refused(otps.send({ to: phoneNumber, purpose, ...clientOf(ctx) }));
        },
        // The newest code of this number; resolves only when this very call verified it.
        verifyOTP: async ({ phoneNumber, code }) => {
          try {
            await otps.verifyByNumber({ to: phoneNumber, code, purpose });
            return true;
          } catch (error) {
            if (isOtpError(error, 'provider_unavailable', 'queue_unavailable')) throw toApiError(error);
            if (isOtpError(error)) return false;
            throw error;
          }
        },
        signUpOnVerification: {
          getTempEmail: (number) => `${number.replace('+', '')}@phone.invalid`,
        },
      }),
    ],
  });
}

/** The address of the person, by which the gateway limits how many codes one place asks for. */
function clientOf(ctx) {
  const clientIp = ctx?.headers?.get('x-client-ip');
  return clientIp ? { clientIp } : {};
}

/** What the gateway refuses becomes an answer of Better Auth's own, with the gateway's words. */
async function refused(sending) {
  try {
    return await sending;
  } catch (error) {
    throw isOtpError(error) ? toApiError(error) : error;
  }
}

function toApiError(error) {
  const status =
    error.status === 429 ? 'TOO_MANY_REQUESTS' : error.status === 503 ? 'SERVICE_UNAVAILABLE' : 'BAD_REQUEST';
  return new APIError(status, { code: error.code.toUpperCase(), message: error.detail });
}

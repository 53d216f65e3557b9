import { isOtpError, type OtpInput } from 'isms-otp-client';
import { given } from './call.js';
import { type Call, defineCommand } from './command.js';
import { CommandError } from './command-error.js';
import { exitCodes } from './exit-codes.js';
import { failureOf } from './failure.js';
import { gatewayOf } from './gateway.js';
import { failureOfOtp, otpText } from './otp-view.js';

const defaultWaitSeconds = 10;
const longestWaitSeconds = 30;

/** Sends one OTP, and waits a while until it has left. */
export const send = defineCommand({
  form: 'send <number>',
  says: 'send an OTP',
  flags: {
    message: { takes: 'text', says: 'holds %OTP% once; default: that of the gateway' },
    template: { takes: 'name', says: 'a message of the operator, in place of --message' },
    locale: { takes: 'tag', says: 'language of the template, such as ms' },
    purpose: { takes: 'word', says: 'what it is for, such as login' },
    'sender-id': { takes: 'text', says: 'letters and digits, at most 11' },
    reference: { takes: 'text', says: 'your own id' },
    ttl: { takes: 'seconds', says: 'how long the code can be verified' },
    wait: {
      takes: 'seconds',
      says: `for the send, at most ${longestWaitSeconds}; default: ${defaultWaitSeconds}`,
    },
    'idempotency-key': { takes: 'key', says: 'run again under the same key, nothing is sent twice' },
  },
  run: async (call) => {
    const [to, ...more] = call.words;
    if (to === undefined || more.length > 0) throw call.misused('One phone number is needed');
    const waitSeconds = call.whole('wait') ?? defaultWaitSeconds;
    if (waitSeconds > longestWaitSeconds) throw call.misused(`--wait must be 0 to ${longestWaitSeconds}`);
    const { client } = await gatewayOf(call);
    const options = {
      signal: call.io.signal,
      ...given({ idempotencyKey: call.text('idempotency-key') }),
      ...(waitSeconds > 0 && { waitSeconds }),
    };
    const otp = await client.send(inputOf(to, call), options).catch(withKey);
    call.answer(otp, otpText(otp));
    const failure = failureOfOtp(otp);
    return failure ? call.complain(failure) : exitCodes.done;
  },
});

type Named = 'message' | 'template' | 'locale' | 'purpose' | 'sender-id' | 'reference' | 'ttl';

function inputOf(to: string, call: Pick<Call<Named>, 'text' | 'whole'>): OtpInput {
  return {
    to,
    ...given({
      message: call.text('message'),
      template: call.text('template'),
      locale: call.text('locale'),
      purpose: call.text('purpose'),
      senderId: call.text('sender-id'),
      reference: call.text('reference'),
      ttlSeconds: call.whole('ttl'),
    }),
  };
}

/** It may have been accepted: whoever sends again must do so under the same key. */
function withKey(error: unknown): never {
  if (!isOtpError(error, 'network_error', 'timeout', 'invalid_answer', 'queue_unavailable')) throw error;
  const { code, message, exitCode, advice } = failureOf(error);
  const again = `with --idempotency-key ${error.idempotencyKey} it is not sent twice`;
  throw new CommandError(code, message, `${advice}; ${again}`, exitCode);
}

import { z } from 'zod';
import type { VerifyOutcome } from '../otp/outcome.js';
import type { VerifyCall } from '../otp/provider.js';
import type { Exchange } from './exchange.js';
import { smsIdSchema, uuidSchema } from './ids.js';
import { quotedText } from './quoted-text.js';
import { parseReply, type Reply } from './reply.js';
import { saysWrongCode } from './reply-table.js';

/** Verify OTP, https://www.isms.com.my/2FA/request.php: the one word that lets someone in, taken literally. */
const verified = z.object({
  status: z.literal('Verified'),
  uuid: uuidSchema,
  sms_id: smsIdSchema,
});

/** The query parameters of a verification, without the account's. */
export function verifyParameters(call: VerifyCall): Record<string, string> {
  return {
    mobile: call.to.national,
    country_code: call.to.callingCode,
    method: 'verify',
    code: call.code,
    sms_id: call.smsId,
    uuid: call.uuid,
    interval: String(call.validMinutes),
    ...(call.senderId === null ? {} : { sendid: call.senderId }),
  };
}

/** What a verification came to. `correct` needs a 2xx that says so and names this OTP's ids, as the vendor's does. */
export function verifyOutcome(result: Exchange, call: VerifyCall): VerifyOutcome {
  if (result.kind === 'unsent') return { kind: 'unsent', reason: result.reason };
  if (result.kind === 'lost') return { kind: 'unavailable', reason: result.reason };
  const reply = parseReply(result.text, verified);
  if (reply.kind === 'unreadable') return { kind: 'unavailable', reason: reply.reason };
  if (reply.kind === 'good') return result.ok && setOtpId(reply.value, call) ? { kind: 'correct' } : odd;
  return refused(reply);
}

const odd: VerifyOutcome = { kind: 'unavailable', reason: 'reply_wrong_shape' };

/** A bare code that is no account trouble says nothing about the OTP's code; a `Failed` does by its words. */
function refused(reply: Extract<Reply<never>, { kind: 'failed' | 'code' }>): VerifyOutcome {
  if ('trouble' in reply.refusal) return { kind: 'unavailable', reason: reply.refusal.trouble };
  if (reply.kind === 'code') return odd;
  if (saysWrongCode(reply.message)) return { kind: 'incorrect' };
  return { kind: 'unrecognised', text: quotedText(reply.message) };
}

function setOtpId({ uuid, sms_id }: z.infer<typeof verified>, call: VerifyCall): boolean {
  return uuid.toLowerCase() === call.uuid.toLowerCase() && sms_id === call.smsId;
}

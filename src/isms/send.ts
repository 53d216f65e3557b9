import { z } from 'zod';
import type { SendOutcome } from '../otp/outcome.js';
import type { SendCall } from '../otp/provider.js';
import type { Exchange } from './exchange.js';
import { smsIdSchema, uuidSchema } from './ids.js';
import { quotedText } from './quoted-text.js';
import { parseReply } from './reply.js';

/** Send OTP, https://www.isms.com.my/2FA/request.php: only `status` decides, and success must carry both ids. */
const accepted = z.object({
  status: z.string().refine((status) => status.trim().toLowerCase() === 'success'),
  uuid: uuidSchema,
  sms_id: smsIdSchema,
});

/** The query parameters of a send, without the account's. */
export function sendParameters({ to, message, unicode, senderId }: SendCall): Record<string, string> {
  return {
    mobile: to.national,
    country_code: to.callingCode,
    message,
    type: unicode ? '2' : '1',
    ...(senderId === null ? {} : { sendid: senderId }),
  };
}

/** What a send came to. Whatever is neither proven unsent nor read for certain is unknown. */
export function sendOutcome(result: Exchange): SendOutcome {
  if (result.kind === 'unsent') return { kind: 'deferred', reason: result.reason };
  if (result.kind === 'lost') return { kind: 'unknown', reason: result.reason };
  const reply = parseReply(result.text, accepted);
  if (reply.kind === 'good') return { kind: 'accepted', uuid: reply.value.uuid, smsId: reply.value.sms_id };
  if (reply.kind === 'unreadable') return { kind: 'unknown', reason: reply.reason };
  if ('trouble' in reply.refusal) return { kind: 'blocked', trouble: reply.refusal.trouble };
  const { failure } = reply.refusal;
  if (failure !== 'rejected') return { kind: 'rejected', failure };
  const text = quotedText(reply.message);
  // Only a `Failed` proves that nothing was sent, so that the OTP may be sent again.
  return { kind: reply.kind === 'failed' ? 'unrecognised' : 'rejected', failure, text };
}

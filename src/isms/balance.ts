import { z } from 'zod';
import type { BalanceOutcome } from '../otp/outcome.js';
import type { Exchange } from './exchange.js';
import { parseExpiration } from './expiration.js';
import { parseReply } from './reply.js';
import { type Refusal, refusalByText } from './reply-table.js';

const text = z.union([z.string(), z.number()]).transform(String).optional().catch(undefined);
/** Check Balance, https://www.isms.com.my/2FA/request.php: both members are strings there. */
const balance = z
  .object({ balance: text, expiration: text })
  .refine(({ balance, expiration }) => balance !== undefined || expiration !== undefined);

/** The query parameters of a balance call, without the account's. */
export const balanceParameters: Readonly<Record<string, string>> = { method: 'balance' };

/** What a balance call came to. A balance that is no number is trouble or unavailable, never zero. */
export function balanceOutcome(result: Exchange): BalanceOutcome {
  if (result.kind !== 'reply') return { kind: 'unavailable', reason: result.reason };
  const reply = parseReply(result.text, balance);
  if (reply.kind === 'unreadable') return { kind: 'unavailable', reason: reply.reason };
  if (reply.kind !== 'good') return refused(reply.refusal);
  const { balance: printed = '', expiration = '' } = reply.value;
  // Trouble was seen in either member alone; the other may look good.
  const credits = parseNumber(printed);
  const refusal = refusalByText(String(credits ?? printed)) ?? refusalByText(expiration);
  if (refusal || credits === null || !result.ok) return refused(refusal);
  return { kind: 'known', credits, expiresOn: parseExpiration(expiration) };
}

function refused(refusal: Refusal | null): BalanceOutcome {
  if (refusal && 'trouble' in refusal) return { kind: 'blocked', trouble: refusal.trouble };
  return { kind: 'unavailable', reason: 'reply_wrong_shape' };
}

/** Null for what is no plain decimal number; thousands may be set apart by commas. */
function parseNumber(text: string): number | null {
  const plain = /^-?(?:\d{1,15}|\d{1,3}(?:,\d{3}){1,4})(?:\.\d{1,6})?$/.exec(text.trim())?.[0];
  return plain === undefined ? null : Number(plain.replaceAll(',', ''));
}

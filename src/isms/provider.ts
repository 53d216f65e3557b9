import { z } from 'zod';
import type { BalanceOutcome, SendOutcome, VerifyOutcome } from '../otp/outcome.js';
import { type CallWindow, momentIn, type Provider, type SendCall, type VerifyCall } from '../otp/provider.js';
import { type ConnectionPool, createConnectionPool, type Exchange } from './exchange.js';
import { createHostOrder, type OnHostChange } from './host-order.js';
import { parseReply, quotedText, refusalByText, saysWrongCode, withoutSecrets } from './replies.js';

export interface IsmsOptions {
  /** Addresses of the endpoint, each of another host, in order of preference. */
  urls: readonly string[];
  username: string;
  password: string;
  connectTimeoutMs: number;
  /** Cap of a whole send, on top of the window that each send brings. */
  sendTimeoutMs: number;
  /** Cap of a whole verification or balance call, waiting for a connection included. */
  verifyTimeoutMs: number;
  sendConnections: number;
  verifyConnections: number;
  onHostChange?: OnHostChange;
}

/**
 * The iSMS 2FA account behind the provider port, over connections of its own for sends and for the rest.
 * Throws only when a URL cannot be read. Facts of the API: https://www.isms.com.my/2FA/request.php.
 */
export function createIsmsProvider(options: IsmsOptions): Provider {
  const common = poolOptions(options);
  const pools = {
    sends: createConnectionPool({ ...common, connections: options.sendConnections }),
    others: createConnectionPool({ ...common, connections: options.verifyConnections }),
  };
  return providerOver(pools, options);
}

/** The same over connections that were made elsewhere, and bring the account's parameters with them. */
export function providerOver(
  { sends, others }: { sends: ConnectionPool; others: ConnectionPool },
  options: Pick<IsmsOptions, 'sendTimeoutMs' | 'verifyTimeoutMs' | 'username' | 'password'>,
): Provider {
  const { sendTimeoutMs, verifyTimeoutMs, username, password } = options;
  const shown = <O extends object>(outcome: O): O =>
    'text' in outcome
      ? { ...outcome, text: withoutSecrets(String(outcome.text), [username, password]) }
      : outcome;
  return {
    send: async (call, { leaveBy, endBy }) => {
      const window = { leaveBy, endBy: Math.min(endBy, performance.now() + sendTimeoutMs) };
      return shown(sendOutcome(await sends.call(sendParameters(call), window)));
    },
    verify: async (call) =>
      shown(verifyOutcome(await others.call(verifyParameters(call), windowOf(verifyTimeoutMs)), call)),
    balance: async () => balanceOutcome(await others.call(balanceParameters, windowOf(verifyTimeoutMs))),
    close: async () => {
      await Promise.all([sends.close(), others.close()]);
    },
  };
}

/** A call that belongs to no claim may leave as long as it runs. */
export function windowOf(timeoutMs: number): CallWindow {
  const leaveBy = momentIn(timeoutMs);
  return { leaveBy, endBy: leaveBy.monotonic };
}

/** Node's own error for a bad URL would hold the URL, and with it any secret in it. */
function poolOptions(options: IsmsOptions) {
  const { urls: texts, username, password, connectTimeoutMs, onHostChange = () => {} } = options;
  if (!texts.every((text) => URL.canParse(text))) throw new TypeError('The iSMS URL cannot be read.');
  const urls = texts.map((text) => new URL(text));
  const hostOrder = createHostOrder(
    urls.map(({ origin }) => origin),
    onHostChange,
  );
  return { urls, common: { un: username, pass: password }, connectTimeoutMs, hostOrder };
}

/** The provider's message id, bounded so that nothing odd gets into a record. The samples are UUIDs. */
const uuidSchema = z
  .string()
  .trim()
  .regex(/^[0-9A-Fa-f][0-9A-Fa-f-]{0,63}$/);

/** The provider's SMS id: digits, as a string or as a number that JSON carries without loss. */
const smsIdSchema = z
  .union([z.string().trim(), z.int().nonnegative().transform(String)])
  .pipe(z.string().regex(/^\d{1,32}$/));

/** Send OTP, https://www.isms.com.my/2FA/request.php: only `status` decides, and success must carry both ids. */
const accepted = z.object({
  status: z.string().refine((status) => status.trim().toLowerCase() === 'success'),
  uuid: uuidSchema,
  sms_id: smsIdSchema,
});

/** The query parameters of a send, without the account's. */
function sendParameters({ to, message, unicode, senderId }: SendCall): Record<string, string> {
  return {
    mobile: to.national,
    country_code: to.callingCode,
    message,
    type: unicode ? '2' : '1',
    ...(senderId === null ? {} : { sendid: senderId }),
  };
}

/** The outcome of a send: unknown unless it is proven unsent or its reply is certain. */
function sendOutcome(result: Exchange): SendOutcome {
  if (result.kind === 'unsent') return { kind: 'unsent', reason: result.reason };
  if (result.kind === 'lost') return { kind: 'unknown', reason: result.reason };
  const reply = parseReply(result.text, accepted);
  if (reply.kind === 'good') return { kind: 'accepted', uuid: reply.value.uuid, smsId: reply.value.sms_id };
  if (reply.kind === 'unreadable') return { kind: 'unknown', reason: reply.reason };
  if ('trouble' in reply.refusal) return { kind: 'account_trouble', trouble: reply.refusal.trouble };
  const { failure } = reply.refusal;
  if (failure !== 'rejected') return { kind: 'rejected', failure };
  const text = quotedText(reply.message);
  // Only a `Failed` proves that nothing was sent, so that the OTP may be sent again.
  return { kind: reply.kind === 'failed' ? 'unrecognised' : 'rejected', failure, text };
}

/** Verify OTP, https://www.isms.com.my/2FA/request.php: the one word that lets someone in, taken literally. */
const verified = z.object({
  status: z.literal('Verified'),
  uuid: uuidSchema,
  sms_id: smsIdSchema,
});

/** The query parameters of a verification, without the account's. */
function verifyParameters(call: VerifyCall): Record<string, string> {
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

const odd: VerifyOutcome = { kind: 'unavailable', reason: 'reply_wrong_shape' };

/** The outcome of a verification. `correct` needs a 2xx that says so and names this OTP's ids, as the vendor's does. */
function verifyOutcome(result: Exchange, call: VerifyCall): VerifyOutcome {
  if (result.kind === 'unsent') return { kind: 'unsent', reason: result.reason };
  if (result.kind === 'lost') return { kind: 'unavailable', reason: result.reason };
  const reply = parseReply(result.text, verified);
  if (reply.kind === 'unreadable') return { kind: 'unavailable', reason: reply.reason };
  if (reply.kind === 'good') return result.ok && namesOtp(reply.value, call) ? { kind: 'correct' } : odd;
  if ('trouble' in reply.refusal) return { kind: 'unavailable', reason: reply.refusal.trouble };
  // A bare code that is no account trouble says nothing about the OTP's code; a `Failed` does by its words.
  if (reply.kind === 'code') return odd;
  if (saysWrongCode(reply.message)) return { kind: 'incorrect' };
  return { kind: 'unrecognised', text: quotedText(reply.message) };
}

function namesOtp({ uuid, sms_id }: z.infer<typeof verified>, call: VerifyCall): boolean {
  return uuid.toLowerCase() === call.uuid.toLowerCase() && sms_id === call.smsId;
}

const months = 'january february march april may june july august september october november december'.split(
  ' ',
);

/** Reads a date like `29 Apr 2025` as `2025-04-29`; null for anything else, a day that is none included. */
export function parseExpiration(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const [, day, name, year] = /^(\d{1,2}) ([a-z]{3,9}) (\d{4})$/.exec(value.trim().toLowerCase()) ?? [];
  if (!day || !name || !year) return null;
  const month = months.findIndex((full) => name === full || name === full.slice(0, 3));
  const date = new Date(Date.UTC(Number(year), month, Number(day)));
  const real = month >= 0 && date.getUTCDate() === Number(day) && date.getUTCFullYear() === Number(year);
  return real ? date.toISOString().slice(0, 10) : null;
}

const text = z.union([z.string(), z.number()]).transform(String).optional().catch(undefined);
/** Check Balance, https://www.isms.com.my/2FA/request.php: both members are strings there. */
const balance = z
  .object({ balance: text, expiration: text })
  .refine(({ balance, expiration }) => balance !== undefined || expiration !== undefined);

/** The query parameters of a balance call, without the account's. */
const balanceParameters: Readonly<Record<string, string>> = { method: 'balance' };

/** The outcome of a balance call. A balance that is no number is trouble or unavailable, never zero. */
function balanceOutcome(result: Exchange): BalanceOutcome {
  if (result.kind !== 'reply') return { kind: 'unavailable', reason: result.reason };
  const reply = parseReply(result.text, balance);
  if (reply.kind === 'unreadable') return { kind: 'unavailable', reason: reply.reason };
  if (reply.kind !== 'good') return refusedBalance(reply.refusal);
  const { balance: printed = '', expiration = '' } = reply.value;
  // Trouble was seen in either member alone; the other may look good.
  const credits = parseNumber(printed);
  const refusal = refusalByText(String(credits ?? printed)) ?? refusalByText(expiration);
  if (refusal || credits === null || !result.ok) return refusedBalance(refusal);
  return { kind: 'known', credits, expiresOn: parseExpiration(expiration) };
}

function refusedBalance(refusal: ReturnType<typeof refusalByText>): BalanceOutcome {
  if (refusal && 'trouble' in refusal) return { kind: 'account_trouble', trouble: refusal.trouble };
  return { kind: 'unavailable', reason: 'reply_wrong_shape' };
}

/** Null for what is no plain decimal number; thousands may be set apart by commas. */
function parseNumber(text: string): number | null {
  const plain = /^-?(?:\d{1,15}|\d{1,3}(?:,\d{3}){1,4})(?:\.\d{1,6})?$/.exec(text.trim())?.[0];
  return plain === undefined ? null : Number(plain.replaceAll(',', ''));
}

import type { WebhookEvent } from './webhook-events.js';

/** A delivery as it came. */
export interface WebhookDelivery {
  /** The raw body, byte for byte: parsed and written again it is another one. */
  payload: string;
  /** Of the request: as `Headers`, or as Node has them. */
  headers: { get(name: string): string | null } | Record<string, string | readonly string[] | undefined>;
  /** As `whsec_…`; several while one replaces the other. */
  secret: string | readonly string[];
  /** How far the clocks may be apart, and how long a delivery may have been under way, in seconds. Default: 300. */
  toleranceSeconds?: number;
}

/** Why a delivery is not to be believed. */
export type WebhookErrorCode =
  | 'missing_header'
  | 'outside_tolerance'
  | 'wrong_signature'
  | 'invalid_payload'
  | 'invalid_secret';

/** A delivery that is not to be believed; `invalid_secret`: nobody can tell, since the secret given here is none. */
export class WebhookError extends Error {
  override readonly name = 'WebhookError';

  constructor(
    readonly code: WebhookErrorCode,
    message: string,
  ) {
    super(message);
  }
}

const defaultToleranceSeconds = 300;
const scheme = 'v1,';
const prefix = 'whsec_';

/**
 * The event that a delivery tells of, once its signature and its time are right (Standard Webhooks,
 * https://www.standardwebhooks.com); else rejects with a WebhookError: answer 401, and do nothing. Events come at least
 * once: keep each `id` for a day, and skip those you have seen.
 */
export async function verifyWebhook(delivery: WebhookDelivery): Promise<WebhookEvent> {
  const { payload, headers, secret, toleranceSeconds = defaultToleranceSeconds } = delivery;
  const id = header(headers, 'webhook-id');
  const timestamp = header(headers, 'webhook-timestamp');
  const signatures = header(headers, 'webhook-signature').split(' ');
  checkTime(timestamp, toleranceSeconds);
  const signed = new TextEncoder().encode(`${id}.${timestamp}.${payload}`);
  for (const each of typeof secret === 'string' || !secret ? [secret] : secret) {
    const expected = await sign(each, signed);
    // All are compared, whichever fits.
    const fitting = signatures.filter((signature) => equal(signature, expected));
    if (fitting.length > 0) return { ...eventOf(payload), id };
  }
  throw new WebhookError('wrong_signature', 'no signature is that of a secret given here');
}

function header(headers: WebhookDelivery['headers'], name: string): string {
  const value = isHeaders(headers) ? headers.get(name) : memberOf(headers, name);
  if (typeof value === 'string' && value !== '') return value;
  throw new WebhookError('missing_header', `${name} is missing`);
}

function isHeaders(headers: WebhookDelivery['headers']): headers is { get(name: string): string | null } {
  return typeof headers['get' as keyof typeof headers] === 'function';
}

function memberOf(headers: Record<string, string | readonly string[] | undefined>, name: string) {
  const found = Object.entries(headers).filter(([key]) => key.toLowerCase() === name);
  const values = found.flatMap(([, value]) => value ?? []);
  // A header that is there twice is none.
  return values.length === 1 ? values[0] : undefined;
}

function checkTime(timestamp: string, toleranceSeconds: number): void {
  const apart = Math.abs(Date.now() / 1_000 - Number(timestamp));
  if (/^\d{1,12}$/.test(timestamp) && apart <= toleranceSeconds) return;
  throw new WebhookError('outside_tolerance', 'webhook-timestamp is too far from the time here');
}

async function sign(secret: string, signed: Uint8Array<ArrayBuffer>): Promise<string> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', secretBytes(secret), algorithm, false, ['sign']);
  const signature = new Uint8Array(await crypto.subtle.sign('HMAC', key, signed));
  return scheme + btoa(String.fromCharCode(...signature));
}

function secretBytes(secret: string): Uint8Array<ArrayBuffer> {
  try {
    const text = secret.startsWith(prefix) ? secret.slice(prefix.length) : secret;
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    if (bytes.length > 0) return bytes;
  } catch {
    // Said below, without the secret.
  }
  throw new WebhookError('invalid_secret', 'a secret must be whsec_ and base64');
}

/** Takes as long wherever two texts of the same length differ. */
function equal(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i += 1) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}

function eventOf(payload: string): WebhookEvent {
  try {
    const event: unknown = JSON.parse(payload);
    if (isEvent(event)) return event;
  } catch {
    // Said below.
  }
  throw new WebhookError('invalid_payload', 'the body is not an event');
}

function isEvent(value: unknown): value is WebhookEvent {
  if (typeof value !== 'object' || value === null) return false;
  return 'type' in value && 'timestamp' in value && 'data' in value && typeof value.data === 'object';
}

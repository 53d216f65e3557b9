import type { WebhookEvent } from './webhook-events.js';

/** A received webhook. */
export interface WebhookDelivery {
  /** The raw body. JSON that was parsed and serialized again does not match the signature. */
  payload: string;
  /** Headers of the request: `Headers`, or an object as in Node. */
  headers: { get(name: string): string | null } | Record<string, string | readonly string[] | undefined>;
  /** The secret, `whsec_…`; several during a rotation. */
  secret: string | readonly string[];
  /** Largest accepted age, and clock difference, in seconds. Default: 300. */
  toleranceSeconds?: number;
}

/** Why a webhook was rejected; `invalid_secret` is an error of the receiver. */
export type WebhookErrorCode =
  | 'missing_header'
  | 'outside_tolerance'
  | 'wrong_signature'
  | 'invalid_payload'
  | 'invalid_secret';

/** A rejected webhook. */
export class WebhookError extends Error {
  override readonly name = 'WebhookError';

  constructor(
    /** Stable, for programs. */
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
 * Verifies signature and age of a webhook (Standard Webhooks, https://www.standardwebhooks.com) and returns its event.
 * Rejects with a `WebhookError`: answer 401, except to `invalid_secret`, an error of the receiver. Events arrive at least
 * once: remember each `id` for a day.
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
    // Compares all, so that the time does not tell which one matches.
    const matching = signatures.filter((signature) => equal(signature, expected));
    if (matching.length > 0) return { ...eventOf(payload), id };
  }
  throw new WebhookError('wrong_signature', 'no signature matches a secret');
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
  // A repeated header is ambiguous.
  return values.length === 1 ? values[0] : undefined;
}

function checkTime(timestamp: string, toleranceSeconds: number): void {
  const apart = Math.abs(Date.now() / 1_000 - Number(timestamp));
  if (/^\d{1,12}$/.test(timestamp) && apart <= toleranceSeconds) return;
  throw new WebhookError('outside_tolerance', 'webhook-timestamp differs too much from this clock');
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
    // Thrown below, without the secret.
  }
  throw new WebhookError('invalid_secret', 'a secret must be whsec_ followed by base64');
}

/** Compares texts of one length in constant time. */
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
    // Thrown below.
  }
  throw new WebhookError('invalid_payload', 'the body is not an event');
}

function isEvent(value: unknown): value is WebhookEvent {
  if (typeof value !== 'object' || value === null) return false;
  return 'type' in value && 'timestamp' in value && 'data' in value && typeof value.data === 'object';
}

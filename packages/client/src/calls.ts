import { checkedTimeoutMs } from './settings.js';

/** The gateway waits no longer. */
const longestWaitSeconds = 30;

/** What every call takes. */
export interface CallOptions {
  /** Instead of the client's, in ms. */
  timeoutMs?: number;
  /** Ends the call: it rejects with the signal's reason. What was asked for may happen all the same. */
  signal?: AbortSignal;
}

/** What calls take that change something. */
export interface KeyedOptions extends CallOptions {
  /**
   * 1 to 255 visible ASCII characters that stand for this very request, such as the id of your own record: asked again
   * under it, nothing happens twice. Default: a new one for each call, the same for all its tries.
   */
  idempotencyKey?: string;
}

/** What sends take. */
export interface SendOptions extends KeyedOptions {
  /** How long the answer may wait for the OTP to leave `queued` and `sending`, in whole seconds, at most 30; added to the time-out. */
  waitSeconds?: number;
}

/** What a resend takes. */
export interface ResendOptions extends SendOptions {
  /** Address of the person asking: OTPs are limited by it. */
  clientIp?: string;
}

/** The options of a call as its request has them; throws a TypeError for what no call can have. */
export function callFacts({ timeoutMs, signal }: CallOptions) {
  if (timeoutMs !== undefined) checkedTimeoutMs(timeoutMs);
  return { timeoutMs, signal };
}

/** The same of a call that has a key, made here if the caller gives none. */
export function keyedFacts(options: KeyedOptions) {
  return { ...callFacts(options), idempotencyKey: checkedKey(options.idempotencyKey) };
}

/** The same of a send. */
export function sendFacts({ waitSeconds, ...options }: SendOptions) {
  const seconds = waitSeconds ?? 0;
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > longestWaitSeconds) {
    throw new TypeError(`waitSeconds must be a whole number, 0 to ${longestWaitSeconds}`);
  }
  return { ...keyedFacts(options), waitSeconds };
}

/** This key, or a new one; throws a TypeError for one that is none. */
export function checkedKey(key: string = crypto.randomUUID()): string {
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new TypeError('idempotencyKey must be 1 to 255 visible ASCII characters, no spaces');
}

/** An id as a part of a path; throws a TypeError for one that would lead elsewhere. */
export function inPath(id: string): string {
  if (typeof id === 'string' && !/^\.{0,2}$/.test(id)) return encodeURIComponent(id);
  throw new TypeError('an id must be one that the gateway gave');
}

/** A query with what is not undefined, or nothing. */
export function query(members: Record<string, string | number | boolean | undefined>): string {
  const known = new URLSearchParams();
  for (const [name, value] of Object.entries(members))
    if (value !== undefined) known.set(name, String(value));
  return known.size === 0 ? '' : `?${known}`;
}

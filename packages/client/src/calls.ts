import { checkedTimeoutMs } from './settings.js';

/** The longest wait that the gateway accepts. */
const longestWaitSeconds = 30;

/** Options of every call. */
export interface CallOptions {
  /** Time-out in milliseconds, in place of the client's. */
  timeoutMs?: number;
  /** Aborts the call, which rejects with the signal's reason. The gateway may still carry it out. */
  signal?: AbortSignal;
}

/** Options of calls that change something. */
export interface KeyedOptions extends CallOptions {
  /**
   * 1 to 255 visible ASCII characters that identify this request, such as the id of your record: repeated with the same
   * key, it takes effect once. Default: a new key for each call, used by all its retries.
   */
  idempotencyKey?: string;
}

/** Options of sends. */
export interface SendOptions extends KeyedOptions {
  /** How long to wait until the OTP is sent or has failed, in whole seconds, 0 to 30; added to the time-out. */
  waitSeconds?: number;
}

/** Options of a resend. */
export interface ResendOptions extends SendOptions {
  /** Address of the user who asks for the code: the gateway limits OTPs per address. */
  clientIp?: string;
}

/** Options of a verification. */
export interface VerifyOptions extends KeyedOptions {
  /** What the code approves, exactly as given to the send. */
  binding?: string;
}

/** Checks the options of a call; throws a TypeError for an invalid one. */
export function callFacts({ timeoutMs, signal }: CallOptions) {
  if (timeoutMs !== undefined) checkedTimeoutMs(timeoutMs);
  return { timeoutMs, signal };
}

/** Checks the options of a call that changes something, and adds a key if there is none. */
export function keyedFacts(options: KeyedOptions) {
  return { ...callFacts(options), idempotencyKey: checkedKey(options.idempotencyKey) };
}

/** Checks the options of a send. */
export function sendFacts({ waitSeconds, ...options }: SendOptions) {
  const seconds = waitSeconds ?? 0;
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > longestWaitSeconds) {
    throw new TypeError(`waitSeconds must be a whole number, 0 to ${longestWaitSeconds}`);
  }
  return { ...keyedFacts(options), waitSeconds };
}

/** Returns the key, or a new one; throws a TypeError for an invalid one. */
export function checkedKey(key: string = crypto.randomUUID()): string {
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new TypeError('idempotencyKey must be 1 to 255 visible ASCII characters, no spaces');
}

/** Encodes an id for a path; throws a TypeError for one that would change the path. */
export function inPath(id: string): string {
  if (typeof id === 'string' && !/^\.{0,2}$/.test(id)) return encodeURIComponent(id);
  throw new TypeError('the id must be one that the gateway returned');
}

/** Returns a query of the members that are defined, or an empty text. */
export function query(members: Record<string, string | number | boolean | undefined>): string {
  const known = new URLSearchParams();
  for (const [name, value] of Object.entries(members))
    if (value !== undefined) known.set(name, String(value));
  return known.size === 0 ? '' : `?${known}`;
}

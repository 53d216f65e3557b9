import { hash, timingSafeEqual } from 'node:crypto';
import type { RequestListener } from 'node:http';
import type { ApiDependencies } from '../dependencies.js';
import { contextOf } from './context.js';
import { ApiProblem } from './problem.js';
import { headerOf } from './request.js';

type ApiKeys = ReturnType<ApiDependencies['apiKeys']>;

/** RFC 6750 §2.1. */
const bearer = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

/**
 * Throws without a known key. Answers a missing, a malformed and an unknown key alike, and compares with all digests in
 * constant time, so that neither the answer nor its time tells how close a guess was.
 */
export function authenticate(apiKeys: () => ApiKeys): RequestListener {
  return (req, res) => {
    const key = bearer.exec(headerOf(req, 'Authorization'))?.[1];
    const app = appOfKey(apiKeys(), key ?? '');
    if (app === null) {
      throw new ApiProblem('unauthorized', { headers: { 'WWW-Authenticate': 'Bearer' } });
    }
    contextOf(res).app = app;
  };
}

/** The app that a key belongs to, or null, as for no key; in constant time. */
export function appOfKey(apiKeys: ApiKeys, key: string): string | null {
  if (key === '') return null;
  const digest = sha256(key);
  return apiKeys.filter((known) => timingSafeEqual(known.digest, digest))[0]?.app ?? null;
}

/** The app whose key an `Authorization` header holds, as Bearer or as the password of HTTP Basic; null for an unknown key. */
export function appOfAuthorization(apiKeys: ApiKeys, header: string): string | null {
  return appOfKey(apiKeys, bearer.exec(header)?.[1] ?? readBasic(header).password);
}

const basic = /^Basic +([A-Za-z0-9+/]+=*) *$/i;

/** The credentials of HTTP Basic (RFC 7617); empty without them. */
export function readBasic(header: string): { username: string; password: string } {
  const decoded = Buffer.from(basic.exec(header)?.[1] ?? '', 'base64').toString('utf8');
  // A user name has no colon.
  const [username = '', ...password] = decoded.split(':');
  return { username, password: password.join(':') };
}

/** SHA-256 of a text, 32 bytes: secrets are compared by digest, so that their length does not show. */
export function sha256(text: string): Buffer {
  // `hash(…, 'buffer')` takes three times as long (measured).
  return Buffer.from(hash('sha256', text), 'hex');
}

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const keyBytes = 16;
const digestOf = (key: Buffer, binding: string) => createHmac('sha256', key).update(binding).digest();

/**
 * Hashes what an OTP approves, such as a payment. The hash's random key is its first part, so it outlives every
 * encryption key, and a resend can take it over.
 */
export function hashBinding(binding: string): string {
  const key = randomBytes(keyBytes);
  return Buffer.concat([key, digestOf(key, binding)]).toString('base64url');
}

/** Whether a verification names, exactly, what the OTP approves; for an OTP that approves nothing: whether it names nothing. */
export function matchesBinding(hash: string | null, binding: string | undefined): boolean {
  if (hash === null || binding === undefined) return hash === null && binding === undefined;
  const bytes = Buffer.from(hash, 'base64url');
  return timingSafeEqual(bytes.subarray(keyBytes), digestOf(bytes.subarray(0, keyBytes), binding));
}

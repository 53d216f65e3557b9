import { z } from 'zod';
import { idempotencyKeySchema } from '../../producer/otp-request-schema.js';

/** A string as a structured field (RFC 9651 §3.3.3). */
const structured = /^"(?<text>(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;

/**
 * The header `Idempotency-Key`, the same for every endpoint that takes it. Its draft makes it a structured string,
 * `"key"`, and many clients send `key`: both are the same key.
 */
export const idempotencyKeyHeader = z
  .string()
  .transform((header) => structured.exec(header)?.groups?.['text']?.replace(/\\(.)/g, '$1') ?? header)
  .pipe(idempotencyKeySchema);

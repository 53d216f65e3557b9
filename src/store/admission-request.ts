import type { OtpRequest } from '../otp/otp.js';
import type { Encrypter } from './encryption.js';
import type { NumberRanges } from './number-ranges.js';
import type { RecordScripts } from './script.js';

/** An app's idempotency key, and the request body it must come with again. */
export interface Idempotency {
  endpoint: string;
  key: string;
  body: string;
}

/** What is left of one limit: `remaining` of `quota` in `windowMs`; more in `resetMs`. */
export interface Quota {
  name: string;
  quota: number;
  windowMs: number;
  remaining: number;
  resetMs: number;
}

/** One OTP to decide about. */
export interface AdmissionRequest {
  request: OtpRequest;
  idempotency?: Idempotency | null;
  /** Only what was admitted before is answered. */
  overloaded?: boolean;
  /** Whether to tell what is left of the limits. */
  quotas?: boolean;
  /** The id that was reserved for it, its number's keyed hash, and the batch of which it is a line. */
  reserved?: { id: string; phone: string; batch?: string };
}

/** What admission decides with. */
export interface AdmissionOptions extends RecordScripts {
  encrypter: Encrypter;
  /** The hashes whose field `paused` BullMQ sets while an operator pauses a send queue. */
  operatorPauseKeys: readonly string[];
  ranges: Pick<NumberRanges, 'guarded' | 'note'>;
}

import type { OtpInput, UploadResult } from './types.js';

/**
 * OTPs to upload. An async iterable sends each as it comes, which takes ten times as long as an iterable (measured: a
 * million lines in 52 s instead of 5).
 */
export type OtpInputs = Iterable<OtpInput> | AsyncIterable<OtpInput>;

/** OTPs to upload. Only an array, or a function that returns the same OTPs in the same order each time, can be retried. */
export type UploadInputs = OtpInputs | (() => OtpInputs);

/** Options of `sendMany`. */
export interface UploadOptions {
  /**
   * 1 to 255 visible ASCII characters that identify this upload: repeated with the same key from the first OTP on, it
   * sends each once. Default: a new key, used by all retries; `OtpUploadBroken` has it.
   */
  idempotencyKey?: string;
  /** Name of the batch, for people: at most 100 characters. A repeated upload keeps its first name, start and pace. */
  name?: string;
  /** When the batch starts, at most 7 days ahead. Default, and in the past: at once. */
  startAt?: Date | string;
  /** OTPs sent in a second at most, 1 to 10,000. Default: as many as can be sent. */
  perSecond?: number;
  /** Members of every OTP that does not set them. */
  defaults?: Partial<Omit<OtpInput, 'to'>>;
  /**
   * Gets the result of each OTP once, in order. An OTP that was rejected temporarily gets a second result if a retry of
   * the upload accepts it. A promise that it returns is awaited.
   */
  onResult?: (result: UploadResult) => unknown;
  /**
   * Time-out in milliseconds while nothing is sent or received. Default: 600,000, as in the gateway, which slows uploads
   * to the app's limit. Node's `fetch` itself times out after 300 s.
   */
  silenceMs?: number;
  /** Aborts the upload, which rejects with the signal's reason. */
  signal?: AbortSignal;
}

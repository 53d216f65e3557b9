import type { OtpInput, UploadResult } from './types.js';

/**
 * OTPs, all there or made as they are needed. An async iterable sends each as it comes, which takes ten times as long as
 * an iterable that has them at hand (measured: a million lines in 52 s instead of 5).
 */
export type OtpInputs = Iterable<OtpInput> | AsyncIterable<OtpInput>;

/** OTPs to upload; only an array or a function, which gives the same OTPs in the same order each time, can be read again. */
export type UploadInputs = OtpInputs | (() => OtpInputs);

/** What an upload takes. */
export interface UploadOptions {
  /**
   * 1 to 255 visible ASCII characters that stand for this upload: sent again under it, from the first OTP on, each counts
   * once. Default: a new one, the same for all tries; an OtpUploadBroken names it.
   */
  idempotencyKey?: string;
  /** Members for every OTP that has none of its own. */
  defaults?: Partial<Omit<OtpInput, 'to'>>;
  /**
   * Told of each OTP once, in their order; of one that was refused for the moment again, when the upload broke off and
   * another try took it. What it returns is waited for.
   */
  onResult?: (result: UploadResult) => unknown;
  /**
   * How long neither side may say anything, in ms. Default: 600,000, as the gateway has it: an upload that is slowed to
   * its app's limit is silent for as long as 200 OTPs take. Runtimes may be less patient: Node's fetch gives up after 300 s.
   */
  silenceMs?: number;
  signal?: AbortSignal;
}

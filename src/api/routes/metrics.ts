import type { Lane } from '../../otp/otp.js';

/** What the API counts. Labels are few: apps, countries, routes, stable codes; never anything of one OTP. */
export interface ApiMetrics {
  /** A request that is over; `route` as in the documentation, null where none matched. */
  request(request: { method: string; route: string | null; status: number; seconds: number }): void;
  /** OTPs that were accepted just now. */
  accepted(app: string, lane: Lane, count?: number): void;
  /** An OTP that was refused, by the code of its problem. */
  refused(app: string, lane: Lane, code: string): void;
  /** What a verification came to: `verified`, the code of its problem, or `aborted` by a client that did not wait. */
  verification(app: string, result: string): void;
  /** An OTP that reached its goal. */
  verified(app: string, country: string): void;
  /** A refusal of iSMS in words that do not say that the code was wrong. */
  unrecognised(call: 'verify'): void;
  /** Everything that this process counted, as Prometheus reads it. */
  exposition(): Promise<{ contentType: string; text: string }>;
}

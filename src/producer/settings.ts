import type { Apps } from '../otp/app.js';

/** What requests for OTPs are completed with and measured by. */
export interface RequestSettings {
  apps: Apps;
  defaultMessage: string;
  defaultSenderId: string | null;
  /** ISO 3166-1 alpha-2: how national numbers are read. */
  defaultCountry: string;
  /** ISO 3166-1 alpha-2: where SMS may go. */
  allowedCountries: readonly string[];
  ttlSeconds: number;
  /** Default, and the most that a request may ask for. */
  maxAttempts: number;
  sendDeadlineSeconds: number;
  /** The same for one of many: bulk has more time. */
  bulkSendDeadlineSeconds: number;
  /** What becomes of messages that break a country's content rules. */
  contentPolicy: 'off' | 'warn' | 'enforce';
  /** Whether the toll-fraud guard refuses, or only watches. */
  fraudGuardEnforces: boolean;
}

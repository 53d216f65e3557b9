import * as z from 'zod';
import { digitList, oneOf, wholeNumber } from './formats.js';
import { variable } from './variables.js';

/* What OTPs are measured by: how long they live, how many there may be, when an operator is warned. */

const daySeconds = 86_400;
const maxLimit = 1_000_000;
/** Each of them is kept in Redis as long as it counts. */
const maxPhoneLimit = 1_000;

export const otp = z.object({
  ttlSeconds: variable(
    'OTP_TTL_SECONDS',
    wholeNumber(30, 600).prefault('300'),
    'How long a code can be verified, from the moment of its send call.',
  ),
  maxAttempts: variable(
    'OTP_MAX_ATTEMPTS',
    wholeNumber(1, 10).prefault('5'),
    'Verification attempts per OTP. A request may ask for fewer, not more.',
  ),
  sendDeadlineSeconds: variable(
    'OTP_SEND_DEADLINE_SECONDS',
    wholeNumber(1, daySeconds).prefault('120'),
    'Send deadline: an OTP not sent so many seconds after its acceptance expires.',
  ),
  bulkSendDeadlineSeconds: variable(
    'BULK_SEND_DEADLINE_SECONDS',
    wholeNumber(1, daySeconds).prefault('3600'),
    'Send deadline of an OTP in a bulk upload, in seconds.',
  ),
  maxSendRetries: variable(
    'MAX_SEND_RETRIES',
    wholeNumber(0, 100).prefault('10'),
    'Retries of a send that was proven not to have happened. Waiting for a pause, the circuit breaker or the retry budget uses none.',
  ),
  maxResendsAfterUnknown: variable(
    'MAX_RESENDS_AFTER_UNKNOWN',
    wholeNumber(0, 10).prefault('1'),
    'How often an OTP is sent again after an attempt with an unknown outcome; 0: never more than one SMS.',
  ),
  retentionSeconds: variable(
    'OTP_RETENTION_SECONDS',
    wholeNumber(60, 365 * daySeconds).prefault(String(daySeconds)),
    'Seconds that a finished OTP is kept; then its record, job and idempotency key are deleted.',
  ),
});

export const limits = z.object({
  recipientCooldownSeconds: variable(
    'LIMIT_RECIPIENT_COOLDOWN_SECONDS',
    wholeNumber(0, daySeconds).prefault('30'),
    'Seconds between two OTPs of one app to one number; 0 is off. One that ended without an SMS does not count.',
  ),
  recipientPer10Minutes: variable(
    'LIMIT_RECIPIENT_PER_10_MINUTES',
    wholeNumber(0, maxPhoneLimit).prefault('5'),
    'OTPs of one app to one number in 10 minutes; 0 is off.',
  ),
  recipientPerDay: variable(
    'LIMIT_RECIPIENT_PER_DAY',
    wholeNumber(0, maxPhoneLimit).prefault('10'),
    'OTPs of one app to one number in a day; 0 is off.',
  ),
  recipientPerDayAllApps: variable(
    'LIMIT_RECIPIENT_PER_DAY_ALL_APPS',
    wholeNumber(0, maxPhoneLimit).prefault('20'),
    'OTPs of all apps together to one number in a day; 0 is off.',
  ),
  wrongCodes: variable(
    'LIMIT_RECIPIENT_WRONG_CODES',
    wholeNumber(1, 100).prefault('100'),
    'Wrong or unanswered codes in a row, of one app and number across its OTPs, that lock the number until `isms-otp numbers unlock`. At most 100 (NIST SP 800-63B-4).',
  ),
  clientIpPer10Minutes: variable(
    'LIMIT_CLIENT_IP_PER_10_MINUTES',
    wholeNumber(0, maxLimit).prefault('60'),
    'OTPs of one app for one `clientIp` (IPv6: its /64 network; twice as many for its /56) in 10 minutes; 0 is off. Phones of one mobile network may share an address.',
  ),
  appPerSecond: variable(
    'LIMIT_APP_PER_SECOND',
    wholeNumber(0, maxLimit).prefault('0'),
    'OTPs accepted per app and second; 0 is off.',
  ),
  sendPerSecond: variable(
    'LIMIT_SEND_PER_SECOND',
    wholeNumber(0, maxLimit).prefault('0'),
    'Send calls to iSMS per second, all workers together; 0 is off.',
  ),
});

export const fraud = z.object({
  guard: variable(
    'FRAUD_GUARD',
    oneOf('off', 'monitor', 'enforce').prefault('monitor'),
    'Toll-fraud guard: watches ranges of 10,000 numbers whose OTPs are hardly ever verified; `monitor` only logs, `enforce` refuses them.',
  ),
  safeRanges: variable(
    'FRAUD_SAFE_RANGES',
    digitList().prefault(''),
    'Beginnings of numbers that the guard leaves alone, such as 6012345.',
  ),
});

export const balance = z.object({
  everySeconds: variable(
    'BALANCE_EVERY_SECONDS',
    wholeNumber(10, daySeconds).prefault('300'),
    'Seconds between two snapshots of the balance.',
  ),
  lowCredits: variable(
    'BALANCE_LOW_CREDITS',
    wholeNumber(0, 1_000_000_000).prefault('100'),
    'The balance is low below so many credits.',
  ),
  expiryWarnDays: variable(
    'BALANCE_EXPIRY_WARN_DAYS',
    wholeNumber(0, 3650).prefault('14'),
    'The balance counts as expiring so many days before its expiration date.',
  ),
});

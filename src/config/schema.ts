import * as z from 'zod';
import {
  addressRanges,
  countries,
  country,
  digitList,
  format,
  fraction,
  listenHost,
  oneOf,
  secret,
  shardList,
  text,
  wholeNumber,
} from './formats.js';
import { apiKeys, dataKeys } from './keys.js';
import { httpUrl, ismsUrl, redisUrl, webhookUrl } from './urls.js';
import { type Variable, variables } from './variables.js';
import { eventList, webhookSecrets } from './webhooks.js';

const daySeconds = 86_400;
const maxTimeoutMs = 300_000;
const maxLimit = 1_000_000;
/** Each of them is kept in Redis as long as it counts. */
const maxPhoneLimit = 1_000;

type Extra = Omit<Variable, 'name' | 'meaning'>;
const hidden: Extra = { secret: true };

/** Gives a part of the schema the name of its variable and what it means. */
function variable<S extends z.ZodType>(name: string, schema: S, meaning: string, extra: Extra = {}): S {
  variables.add(schema, { name, meaning, ...extra });
  return schema;
}

const http = z.object({
  host: variable('HOST', listenHost().prefault('127.0.0.1'), 'Address that the API listens on.'),
  port: variable(
    'PORT',
    wholeNumber(0, 65_535).prefault('3000'),
    'Port that the API (or the simulator, when it runs alone) listens on; 0 takes any free one.',
  ),
  trustedProxies: variable(
    'TRUSTED_PROXIES',
    addressRanges().optional(),
    "Proxies whose X-Forwarded-For tells a client's address; that of anybody else is ignored. Unset: there is none.",
  ),
});

const isms = z.object({
  url: variable(
    'ISMS_URL',
    ismsUrl().prefault('https://www.isms.com.my/2FA/request.php'),
    'Full URL of the iSMS endpoint.',
  ),
  connectTimeoutMs: variable(
    'ISMS_CONNECT_TIMEOUT_MS',
    wholeNumber(1, maxTimeoutMs).prefault('3000'),
    'Milliseconds to connect to iSMS.',
  ),
  sendTimeoutMs: variable(
    'ISMS_SEND_TIMEOUT_MS',
    wholeNumber(1, maxTimeoutMs).prefault('30000'),
    'Milliseconds for a whole send. Giving up early turns good sends into unknown ones.',
  ),
  verifyTimeoutMs: variable(
    'ISMS_VERIFY_TIMEOUT_MS',
    wholeNumber(1, maxTimeoutMs).prefault('10000'),
    'Milliseconds for a whole verification or balance call.',
  ),
});

const account = z.object({
  username: variable('ISMS_USERNAME', text(), 'Name of the iSMS account.'),
  password: variable('ISMS_PASSWORD', secret(), 'Password of the iSMS account.', hidden),
});

const admin = z.object({
  username: variable(
    'ADMIN_USERNAME',
    format('one line of text without a colon', (name) => (/^[^:\p{Cc}\p{Cs}]+$/u.test(name) ? name : null)),
    'Login of the admin pages, which exist only when name and password are set.',
  ),
  password: variable('ADMIN_PASSWORD', secret(16), 'Password of the admin pages.', hidden),
});

const metrics = z.object({
  host: variable('METRICS_HOST', listenHost().prefault('127.0.0.1'), 'Address of the listener for scrapers.'),
  port: variable(
    'METRICS_PORT',
    wholeNumber(0, 65_535).optional(),
    'Port of a listener of its own for scrapers (`/metrics`, no login), in API and worker; 0 takes any free one; unset is off.',
  ),
});

const tracing = z.object({
  endpoint: variable(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    httpUrl().optional(),
    'OTLP/HTTP collector that traces go to, such as http://127.0.0.1:4318; unset is off. OpenTelemetry itself reads further OTEL_EXPORTER_OTLP_ variables, such as _HEADERS.',
  ),
  ratio: variable(
    'OTEL_TRACES_SAMPLER_ARG',
    fraction().prefault('1'),
    'Share of the traces that are kept. What the caller decided (its `traceparent`) goes before.',
  ),
});

const defaults = z.object({
  message: variable(
    'DEFAULT_MESSAGE',
    text('text that holds %OTP% exactly once').prefault(
      'Your verification code is %OTP%. Do not share it with anyone.',
    ),
    'Message when a request names none.',
  ),
  senderId: variable(
    'DEFAULT_SENDER_ID',
    text('letters and digits, at most 11').optional(),
    'Sender ID when a request names none. Malaysian handsets do not show it.',
  ),
  country: variable('DEFAULT_COUNTRY', country().prefault('MY'), 'How national numbers are read.'),
});

const queues = z.object({
  shards: variable(
    'QUEUE_SHARDS',
    wholeNumber(1, 64).prefault('1'),
    'Queues that the OTPs are spread over, each in a slot of its own of a Redis Cluster. Which number suits how many masters, and how to change it: docs/scaling.md. The same in every process.',
  ),
});

const worker = z.object({
  concurrency: variable(
    'WORKER_CONCURRENCY',
    wholeNumber(1, 1000).prefault('50'),
    'Sends in flight per worker process; at least one for each queue that it serves.',
  ),
  shards: variable(
    'WORKER_SHARDS',
    shardList().optional(),
    'Which of the queues a worker serves; all of them when it is unset, also those of an earlier QUEUE_SHARDS. OTPs of a queue that no worker serves wait until their deadline.',
  ),
});

const otp = z.object({
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
  sendWithinSeconds: variable(
    'OTP_SEND_WITHIN_SECONDS',
    wholeNumber(1, daySeconds).prefault('120'),
    'An OTP not sent by then is dropped, not sent late.',
  ),
  bulkSendWithinSeconds: variable(
    'BULK_SEND_WITHIN_SECONDS',
    wholeNumber(1, daySeconds).prefault('3600'),
    'The same for an OTP of a bulk upload.',
  ),
  sendRetries: variable(
    'SEND_RETRIES',
    wholeNumber(0, 100).prefault('10'),
    'Retries of a send that was proven not to have happened. Waiting for a pause, the circuit breaker or the retry budget uses none.',
  ),
  unknownResends: variable(
    'UNKNOWN_RESENDS',
    wholeNumber(0, 10).prefault('1'),
    'How often an OTP is sent again after an attempt whose outcome nobody can know; 0: never more than one SMS.',
  ),
  keepSeconds: variable(
    'KEEP_SECONDS',
    wholeNumber(60, 365 * daySeconds).prefault(String(daySeconds)),
    'How long a finished OTP can be looked up; then its record, job and idempotency key go.',
  ),
});

const limits = z.object({
  phoneCooldownSeconds: variable(
    'LIMIT_PHONE_COOLDOWN_SECONDS',
    wholeNumber(0, daySeconds).prefault('30'),
    'Seconds between two OTPs of one app to one number; 0 is off. One that ended without an SMS does not count.',
  ),
  phonePer10Minutes: variable(
    'LIMIT_PHONE_PER_10_MINUTES',
    wholeNumber(0, maxPhoneLimit).prefault('5'),
    'OTPs of one app to one number in 10 minutes; 0 is off.',
  ),
  phonePerDay: variable(
    'LIMIT_PHONE_PER_DAY',
    wholeNumber(0, maxPhoneLimit).prefault('10'),
    'OTPs of one app to one number in a day; 0 is off.',
  ),
  numberPerDay: variable(
    'LIMIT_NUMBER_PER_DAY',
    wholeNumber(0, maxPhoneLimit).prefault('20'),
    'OTPs of all apps together to one number in a day; 0 is off.',
  ),
  wrongCodes: variable(
    'LIMIT_PHONE_WRONG_CODES',
    wholeNumber(1, 100).prefault('100'),
    'Wrong or unanswered codes in a row, of one app and number across its OTPs, that lock the number until `isms-otp unlock`. At most 100 (NIST SP 800-63B-4).',
  ),
  clientIpPer10Minutes: variable(
    'LIMIT_CLIENT_IP_PER_10_MINUTES',
    wholeNumber(0, maxLimit).prefault('60'),
    'OTPs of one app for one `clientIp` (IPv6: its /64 network) in 10 minutes; 0 is off. Phones of one mobile network may share an address.',
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

const fraud = z.object({
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

const balance = z.object({
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

const webhook = z.object({
  url: variable(
    'WEBHOOK_URL',
    webhookUrl(),
    'Who is told of events, by POST, signed as Standard Webhooks has it. The same in every process, as are the three below. What is told: docs/webhooks.md.',
    hidden,
  ),
  secrets: variable(
    'WEBHOOK_SECRET',
    webhookSecrets(),
    'Signs events. Several, separated by commas, all sign, so that a receiver can change over.',
    hidden,
  ),
  events: variable(
    'WEBHOOK_EVENTS',
    eventList().prefault('all'),
    'Which events are told of; each OTP makes two or three.',
  ),
  privateAddresses: variable(
    'WEBHOOK_PRIVATE_ADDRESSES',
    oneOf('refuse', 'allow').prefault('refuse'),
    'Whether the receiver may be inside this network, also over http.',
  ),
});

/** The whole environment: every variable, what its text must be, and the place of its value in Config. */
export const schema = z.object({
  http: http.prefault({}),
  redisUrl: variable(
    'REDIS_URL',
    redisUrl().optional(),
    'Redis 6.2 or newer. Unset, `npm start` starts its own.',
    hidden,
  ),
  isms: isms.prefault({}),
  account: account.optional(),
  apiKeys: variable(
    'API_KEYS',
    apiKeys().optional(),
    'Who may call the API. An app may stand twice: two live keys.',
    hidden,
  ),
  admin: admin.optional(),
  adminActions: variable(
    'ADMIN_ACTIONS',
    oneOf('off', 'on').prefault('off'),
    'Whether the admin pages can retry, promote and remove jobs and pause queues, or only show them.',
  ),
  metrics: metrics.prefault({}),
  tracing: tracing.prefault({}),
  dataKeys: variable(
    'DATA_KEY',
    dataKeys().optional(),
    'Encrypts phone numbers and messages at rest; the first encrypts, all decrypt. `npm start` makes and keeps one.',
    hidden,
  ),
  defaults: defaults.prefault({}),
  allowedCountries: variable('ALLOWED_COUNTRIES', countries().prefault('MY'), 'Where SMS may go.'),
  queues: queues.prefault({}),
  worker: worker.prefault({}),
  otp: otp.prefault({}),
  limits: limits.prefault({}),
  fraud: fraud.prefault({}),
  messageRules: variable(
    'MESSAGE_RULES',
    oneOf('off', 'warn', 'enforce').prefault('enforce'),
    'Messages to Malaysia with a link, a call-back number or a request for personal data: refused, only logged, or not looked at. The regulator bans them, and iSMS suspends accounts over them.',
  ),
  balance: balance.prefault({}),
  webhook: webhook.optional(),
  auditKeepDays: variable(
    'AUDIT_KEEP_DAYS',
    wholeNumber(0, 3650).prefault('0'),
    'Days that the audit trail is kept: who sent, verified, cancelled, paused, retried, and when; 0 keeps none. About 200 bytes a request.',
  ),
  logLevel: variable(
    'LOG_LEVEL',
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent').prefault('info'),
    'The least level that is logged.',
  ),
});

import * as z from 'zod';
import {
  addressRanges,
  apiKeys,
  chosenSecret,
  countries,
  country,
  encryptionKeys,
  eventList,
  format,
  fraction,
  issuedSecret,
  listenHost,
  oneOf,
  shardList,
  text,
  timeZone,
  webhookSecrets,
  wholeNumber,
} from './formats.js';
import { httpUrl, ismsUrls, redisUrl, webhookUrl } from './urls.js';
import { variable } from './variables.js';

/** A whole number from min to max; fallback when the variable is unset. */
const count = (min: number, max: number, fallback: number) =>
  wholeNumber(min, max).prefault(String(fallback));

/* What OTPs are measured by: how long they live, how many there may be, when an operator is warned. */

const daySeconds = 86_400;
const maxLimit = 1_000_000;
/** Each of them is kept in Redis as long as it counts. */
const maxPhoneLimit = 1_000;

const otp = z.object({
  ttlSeconds: variable('OTP_TTL_SECONDS', count(30, 600, 300), {
    meaning: 'How long a code can be verified, from the moment of its send call.',
  }),
  maxAttempts: variable('OTP_MAX_ATTEMPTS', count(1, 10, 5), {
    meaning: 'Verification attempts per OTP. A request may ask for fewer, not more.',
  }),
  sendDeadlineSeconds: variable('OTP_SEND_DEADLINE_SECONDS', count(1, daySeconds, 120), {
    meaning: 'Seconds after acceptance at which an unsent OTP expires.',
  }),
  bulkSendDeadlineSeconds: variable('BULK_SEND_DEADLINE_SECONDS', count(1, daySeconds, 3_600), {
    meaning: 'Send deadline of an OTP in a bulk upload, in seconds.',
  }),
  maxSendRetries: variable('MAX_SEND_RETRIES', count(0, 100, 10), {
    meaning:
      'Retries of a send that provably did not reach iSMS. Waiting for a pause, the circuit breaker or the retry budget uses none.',
  }),
  maxResendsAfterUnknown: variable('MAX_RESENDS_AFTER_UNKNOWN', count(0, 10, 1), {
    meaning:
      'How often an OTP is sent again after an attempt with an unknown outcome; 0: never more than one SMS.',
  }),
  retentionSeconds: variable('OTP_RETENTION_SECONDS', count(60, 365 * daySeconds, daySeconds), {
    meaning: 'Seconds that a finished OTP is kept; then its record, job and idempotency key are deleted.',
  }),
});

const limits = z.object({
  recipientCooldownSeconds: variable('LIMIT_RECIPIENT_COOLDOWN_SECONDS', count(0, daySeconds, 30), {
    meaning:
      'Seconds between two OTPs of one app to one number; 0 is off. One that ended without an SMS does not count.',
  }),
  recipientPer10Minutes: variable('LIMIT_RECIPIENT_PER_10_MINUTES', count(0, maxPhoneLimit, 5), {
    meaning: 'OTPs of one app to one number in 10 minutes; 0 is off.',
  }),
  recipientPerDay: variable('LIMIT_RECIPIENT_PER_DAY', count(0, maxPhoneLimit, 10), {
    meaning: 'OTPs of one app to one number in a day; 0 is off.',
  }),
  recipientPerDayAllApps: variable('LIMIT_RECIPIENT_PER_DAY_ALL_APPS', count(0, maxPhoneLimit, 20), {
    meaning: 'OTPs of all apps together to one number in a day; 0 is off.',
  }),
  wrongCodes: variable('LIMIT_RECIPIENT_WRONG_CODES', count(1, 100, 100), {
    meaning:
      'Wrong or unanswered codes in a row, of one app and number across its OTPs, that lock the number until `isms-otp numbers unlock`. At most 100 (NIST SP 800-63B-4).',
  }),
  clientIpPer10Minutes: variable('LIMIT_CLIENT_IP_PER_10_MINUTES', count(0, maxLimit, 60), {
    meaning:
      'OTPs of one app for one `clientIp` (IPv6: its /64 network; twice as many for its /56) in 10 minutes; 0 is off. Phones of one mobile network may share an address.',
  }),
  appPerSecond: variable('LIMIT_APP_PER_SECOND', count(0, maxLimit, 0), {
    meaning: 'OTPs accepted per app and second; 0 is off.',
  }),
  appSendsPerSecond: variable('LIMIT_APP_SENDS_PER_SECOND', count(0, maxLimit, 0), {
    meaning:
      'Send calls to iSMS per app and second, all workers together; 0 is off. Excess OTPs wait. APPS_FILE can give an app its own.',
  }),
  sendPerSecond: variable('LIMIT_SEND_PER_SECOND', count(0, maxLimit, 0), {
    meaning: 'Send calls to iSMS per second, all workers together; 0 is off.',
  }),
});

const maxBudget = 1_000_000_000;
const budget = z.object({
  creditsPerDay: variable('BUDGET_CREDITS_PER_DAY', count(0, maxBudget, 0), {
    meaning:
      'Credits that one app may use in a day; 0 is off. An OTP that ends without an SMS gives its credits back. APPS_FILE can give an app its own.',
  }),
  creditsPerMonth: variable('BUDGET_CREDITS_PER_MONTH', count(0, maxBudget, 0), {
    meaning: 'Credits that one app may use in a calendar month; 0 is off.',
  }),
  timeZone: variable('BUDGET_TIME_ZONE', timeZone.prefault('Asia/Kuala_Lumpur'), {
    meaning: 'Time zone (IANA) whose days and months budgets count.',
  }),
});

const fraud = z.object({
  guard: variable('FRAUD_GUARD', oneOf('off', 'monitor', 'enforce').prefault('monitor'), {
    meaning:
      'Toll-fraud guard: watches ranges of 10,000 numbers whose OTPs are hardly ever verified; `monitor` only logs, `enforce` rejects them.',
  }),
});

const balance = z.object({
  everySeconds: variable('BALANCE_EVERY_SECONDS', count(10, daySeconds, 300), {
    meaning: 'Seconds between two snapshots of the balance.',
  }),
  lowCredits: variable('BALANCE_LOW_CREDITS', count(0, 1_000_000_000, 100), {
    meaning: 'Credits below which the low-balance alarm starts.',
  }),
  expiryWarnDays: variable('BALANCE_EXPIRY_WARN_DAYS', count(0, 3650, 14), {
    meaning: 'Days before the expiry date at which the alarm starts.',
  }),
});

const maxTimeoutMs = 300_000;

const http = z.object({
  host: variable('HOST', listenHost.prefault('127.0.0.1'), { meaning: 'Address that the API listens on.' }),
  port: variable('PORT', count(0, 65_535, 3_000), {
    meaning: 'Port that the API (or the simulator, when it runs alone) listens on; 0 takes any free one.',
  }),
  ismsCompatApi: variable('ISMS_COMPAT_API', oneOf('off', 'post', 'get').prefault('post'), {
    meaning:
      'iSMS-compatible API at `/2FA/request.php`: `off`; `post` (parameters in the body); `get` (also in the query, which proxies log together with the key). See docs/migrate-from-isms.md.',
  }),
  trustedProxies: variable('TRUSTED_PROXIES', addressRanges.optional(), {
    meaning:
      "Proxies whose X-Forwarded-For names the client's address, and X-Forwarded-Proto the scheme; from other addresses they are ignored. A proxy must pass Host on. Unset: no proxy.",
  }),
});

const isms = z.object({
  urls: variable('ISMS_URL', ismsUrls.prefault('https://www.isms.com.my/2FA/request.php'), {
    meaning:
      'URL of the iSMS endpoint, or several of different hosts, separated by commas: the next is called if no connection to the previous succeeds (docs/operations.md).',
  }),
  connectTimeoutMs: variable('ISMS_CONNECT_TIMEOUT_MS', count(1, maxTimeoutMs, 3_000), {
    meaning: 'Milliseconds to connect to iSMS.',
  }),
  sendTimeoutMs: variable('ISMS_SEND_TIMEOUT_MS', count(1, maxTimeoutMs, 30_000), {
    meaning: 'Milliseconds for a whole send. A short time-out makes good sends unknown.',
  }),
  verifyTimeoutMs: variable('ISMS_VERIFY_TIMEOUT_MS', count(1, maxTimeoutMs, 10_000), {
    meaning: 'Milliseconds for a whole verification or balance call.',
  }),
});

const account = z.object({
  username: variable('ISMS_USERNAME', text(), { meaning: 'Name of the iSMS account.' }),
  password: variable('ISMS_PASSWORD', issuedSecret, {
    meaning: 'Password of the iSMS account.',
    secret: true,
  }),
});

const admin = z.object({
  username: variable(
    'ADMIN_USERNAME',
    format('one line of text without a colon', (name) => (/^[^:\p{Cc}\p{Cs}]+$/u.test(name) ? name : null)),
    { meaning: 'Login of the admin pages, which exist only when name and password are set.' },
  ),
  password: variable('ADMIN_PASSWORD', chosenSecret(16), {
    meaning: 'Password of the admin pages.',
    secret: true,
  }),
});

const metrics = z.object({
  host: variable('METRICS_HOST', listenHost.prefault('127.0.0.1'), {
    meaning: 'Address of the listener for scrapers.',
  }),
  port: variable('METRICS_PORT', wholeNumber(0, 65_535).optional(), {
    meaning:
      'Port of a separate listener for scrapers (`/metrics`, no login), in API and worker; 0 takes any free one; unset is off.',
  }),
});

const tracing = z.object({
  endpoint: variable('OTEL_EXPORTER_OTLP_ENDPOINT', httpUrl.optional(), {
    meaning:
      'OTLP/HTTP collector that traces go to, such as http://127.0.0.1:4318; unset is off. OpenTelemetry itself reads OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and further OTEL_EXPORTER_OTLP_ variables, such as _HEADERS.',
  }),
  ratio: variable('OTEL_TRACES_SAMPLER_ARG', fraction.prefault('1'), {
    meaning:
      'Share of the traces that are kept. The `traceparent` of a caller with an API key takes precedence.',
  }),
});

const defaults = z.object({
  message: variable(
    'DEFAULT_MESSAGE',
    text('text that holds %OTP% exactly once').prefault(
      'Your {brand} verification code is %OTP%. Do not share it with anyone.',
    ),
    {
      meaning:
        'Message when a request names none. `{brand}` is the brand of the app (docs/apps.md), left out with the space behind it where there is none; `{minutes}` is the validity of the code.',
    },
  ),
  senderId: variable('DEFAULT_SENDER_ID', text('letters and digits, at most 11').optional(), {
    meaning: 'Sender ID when a request names none. Malaysian handsets do not show it.',
  }),
  country: variable('DEFAULT_COUNTRY', country.prefault('MY'), {
    meaning: 'Country of numbers in national notation.',
  }),
});

const queues = z.object({
  shards: variable('QUEUE_SHARDS', count(1, 64, 1), {
    meaning:
      'Number of send queues, each in its own slot of a Redis Cluster; the same in every process. Values and changes: docs/scaling.md.',
  }),
});

const worker = z.object({
  concurrency: variable('WORKER_CONCURRENCY', count(1, 1000, 50), {
    meaning: 'Sends in flight per worker process; at least one for each queue that it serves.',
  }),
  shards: variable('WORKER_SHARDS', shardList.optional(), {
    meaning:
      'Queues that this worker serves. Unset: all, including those of an earlier QUEUE_SHARDS. OTPs of an unserved queue expire at their deadline.',
  }),
});

const webhook = z.object({
  url: variable('WEBHOOK_URL', webhookUrl, {
    meaning:
      'URL that receives events (POST, Standard Webhooks signature): docs/webhooks.md. Set all `WEBHOOK_*` alike in every process.',
    secret: true,
  }),
  secrets: variable('WEBHOOK_SECRET', webhookSecrets, {
    meaning: 'Signs events. Several, separated by commas, all sign, so that a receiver can change over.',
    secret: true,
  }),
  events: variable('WEBHOOK_EVENTS', eventList.prefault('all'), {
    meaning: 'Events to send; each OTP causes two or three.',
  }),
  privateAddresses: variable('WEBHOOK_PRIVATE_ADDRESSES', oneOf('refuse', 'allow').prefault('refuse'), {
    meaning: 'Whether the receiver may be in a private network, also over http.',
  }),
});

/** The whole environment: every variable, what its text must be, and the place of its value in Config. */
export const schema = z.object({
  http: http.prefault({}),
  redisUrl: variable('REDIS_URL', redisUrl.optional(), {
    meaning: 'Redis 6.2 or newer. Unset, `npm start` starts its own.',
    secret: true,
  }),
  isms: isms.prefault({}),
  account: account.optional(),
  apiKeys: variable('API_KEYS', apiKeys.optional(), {
    meaning:
      'Apps that may call the API, with their keys; the API needs this or APPS_FILE. List an app twice for two keys.',
    secret: true,
  }),
  appsFile: variable('APPS_FILE', text('the path of a file').optional(), {
    meaning:
      'JSON file of apps with their keys, templates, limits and more (docs/apps.md); read again on SIGHUP. It holds webhook secrets.',
  }),
  admin: admin.optional(),
  adminActions: variable('ADMIN_ACTIONS', oneOf('off', 'on').prefault('off'), {
    meaning:
      'Whether the admin pages can retry, promote and remove jobs and pause queues, or only show them.',
  }),
  metrics: metrics.prefault({}),
  tracing: tracing.prefault({}),
  encryptionKeys: variable('ENCRYPTION_KEYS', encryptionKeys.optional(), {
    meaning:
      'Encrypts phone numbers and messages at rest; the first encrypts, all decrypt. `npm start` makes and keeps one.',
    secret: true,
  }),
  defaults: defaults.prefault({}),
  allowedCountries: variable('ALLOWED_COUNTRIES', countries.prefault('MY'), {
    meaning: 'Countries that get SMS.',
  }),
  queues: queues.prefault({}),
  worker: worker.prefault({}),
  otp: otp.prefault({}),
  limits: limits.prefault({}),
  budget: budget.prefault({}),
  fraud: fraud.prefault({}),
  contentPolicy: variable('CONTENT_POLICY', oneOf('off', 'warn', 'enforce').prefault('enforce'), {
    meaning:
      'Messages to Malaysia with a link, a call-back number or a request for personal data: `enforce` rejects them, `warn` only logs, `off` does not check. The regulator bans them, and iSMS suspends accounts over them.',
  }),
  balance: balance.prefault({}),
  webhook: webhook.optional(),
  auditRetentionDays: variable('AUDIT_RETENTION_DAYS', count(0, 3650, 0), {
    meaning:
      'Days that the audit log is kept (actor, action, subject, result, time); 0 is off. About 200 bytes a request.',
  }),
  logLevel: variable(
    'LOG_LEVEL',
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent').prefault('info'),
    { meaning: 'Lowest level that is logged.' },
  ),
});

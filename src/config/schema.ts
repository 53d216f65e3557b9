import * as z from 'zod';
import {
  addressRanges,
  chosenSecret,
  countries,
  country,
  eventList,
  format,
  fraction,
  issuedSecret,
  listenHost,
  oneOf,
  shardList,
  text,
  wholeNumber,
} from './formats.js';
import { apiKeys, encryptionKeys, webhookSecrets } from './keys.js';
import { balance, fraud, limits, otp } from './rules.js';
import { httpUrl, ismsUrl, redisUrl, webhookUrl } from './urls.js';
import { variable } from './variables.js';

const maxTimeoutMs = 300_000;
const hidden = { secret: true } as const;

const http = z.object({
  host: variable('HOST', listenHost().prefault('127.0.0.1'), 'Address that the API listens on.'),
  port: variable(
    'PORT',
    wholeNumber(0, 65_535).prefault('3000'),
    'Port that the API (or the simulator, when it runs alone) listens on; 0 takes any free one.',
  ),
  ismsCompatApi: variable(
    'ISMS_COMPAT_API',
    oneOf('off', 'post', 'get').prefault('post'),
    "Which requests of iSMS's own protocol `/2FA/request.php` answers, for apps that call iSMS today: POST with the parameters in its body, or those in a URL's query as well (GET and POST). Then the key is in the URL, which proxies log: see docs/migrate-from-isms.md.",
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
    'Milliseconds for a whole send. A short time-out makes good sends unknown.',
  ),
  verifyTimeoutMs: variable(
    'ISMS_VERIFY_TIMEOUT_MS',
    wholeNumber(1, maxTimeoutMs).prefault('10000'),
    'Milliseconds for a whole verification or balance call.',
  ),
});

const account = z.object({
  username: variable('ISMS_USERNAME', text(), 'Name of the iSMS account.'),
  password: variable('ISMS_PASSWORD', issuedSecret(), 'Password of the iSMS account.', hidden),
});

const admin = z.object({
  username: variable(
    'ADMIN_USERNAME',
    format('one line of text without a colon', (name) => (/^[^:\p{Cc}\p{Cs}]+$/u.test(name) ? name : null)),
    'Login of the admin pages, which exist only when name and password are set.',
  ),
  password: variable('ADMIN_PASSWORD', chosenSecret(16), 'Password of the admin pages.', hidden),
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
    'Share of the traces that are kept. The `traceparent` of a caller with an API key takes precedence.',
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

const webhook = z.object({
  url: variable(
    'WEBHOOK_URL',
    webhookUrl(),
    'URL that receives events (POST, Standard Webhooks signature): docs/webhooks.md. Set all `WEBHOOK_*` alike in every process.',
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
    'Events to send; each OTP causes two or three.',
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
    'Who may call the API, which needs this or APPS_FILE. An app may stand twice: two live keys.',
    hidden,
  ),
  appsFile: variable(
    'APPS_FILE',
    text('the path of a file').optional(),
    'JSON file of apps with their keys, templates, limits and more (docs/apps.md); read again on SIGHUP. It holds secrets of webhooks.',
  ),
  admin: admin.optional(),
  adminActions: variable(
    'ADMIN_ACTIONS',
    oneOf('off', 'on').prefault('off'),
    'Whether the admin pages can retry, promote and remove jobs and pause queues, or only show them.',
  ),
  metrics: metrics.prefault({}),
  tracing: tracing.prefault({}),
  encryptionKeys: variable(
    'ENCRYPTION_KEYS',
    encryptionKeys().optional(),
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
  contentPolicy: variable(
    'CONTENT_POLICY',
    oneOf('off', 'warn', 'enforce').prefault('enforce'),
    'Messages to Malaysia with a link, a call-back number or a request for personal data: `enforce` rejects them, `warn` only logs, `off` does not check. The regulator bans them, and iSMS suspends accounts over them.',
  ),
  balance: balance.prefault({}),
  webhook: webhook.optional(),
  auditRetentionDays: variable(
    'AUDIT_RETENTION_DAYS',
    wholeNumber(0, 3650).prefault('0'),
    'Days that the audit log is kept (actor, action, subject, result, time); 0 is off. About 200 bytes a request.',
  ),
  logLevel: variable(
    'LOG_LEVEL',
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent').prefault('info'),
    'The least level that is logged.',
  ),
});

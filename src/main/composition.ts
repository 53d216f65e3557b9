import type { ConfigFor } from '../config/roles.js';
import type { OnHostChange } from '../isms/host-order.js';
import { createIsmsProvider } from '../isms/provider.js';
import type { Logger } from '../lib/logger.js';
import type { Apps, AppWebhook } from '../otp/app.js';
import {
  appEventTypes,
  type EventType,
  eventTypes,
  isEventType,
  type WebhookEndpoint,
  type WebhookReceivers,
} from '../otp/event.js';
import type { Provider } from '../otp/provider.js';
import type { RequestSettings } from '../producer/otp-request.js';
import { addJobFunction } from '../queues/add-jobs.js';
import { operatorPauseKeys } from '../queues/send-otp.js';
import { createEncrypter } from '../store/encryption.js';
import type { HistoryFinding } from '../store/history.js';
import { type NumberListTrouble, unreadableEntries } from '../store/number-lists.js';
import { type Policy, type RedisClient, wantedEvents } from '../store/script.js';
import { createStore, type Store } from '../store/store.js';
import { createWebhookEndpoint } from '../webhooks/endpoint.js';

/* Parts made from the configuration that commands and producers need as well: without the API and the workers. */

type StoreConfig = ConfigFor<'producer'>;

/** Time for Redis to record a call that used its whole time-out. */
const settleMs = 2_000;
const verifyConnections = 64;

/** The client of the iSMS account, with a connection for each send that may be in flight. */
export function ismsProvider(
  { isms, account, worker }: Pick<ConfigFor<'worker'>, 'isms' | 'account' | 'worker'>,
  onHostChange?: OnHostChange,
): Provider {
  return createIsmsProvider({
    ...isms,
    ...(onHostChange && { onHostChange }),
    username: account.username,
    password: account.password.reveal(),
    sendConnections: worker.concurrency,
    verifyConnections,
  });
}

/** The records in Redis, over a connection that suits the process. */
export function storeOf(redis: RedisClient, config: StoreConfig, logger: Logger): Store {
  return createStore({
    redis,
    encrypter: createEncrypter(config.encryptionKeys.reveal()),
    policy: policyOf(config),
    operatorPauseKeys: operatorPauseKeys(config.queues.shards),
    addJobFunction,
    balanceLimits: config.balance,
    auditRetentionDays: config.auditRetentionDays,
    onNumberListTrouble: (trouble) => logNumberListTrouble(trouble, logger),
    onNewHistory: (finding) => logNewHistory(finding, logger),
  });
}

/** Logs once that Redis came back, and whether it may have forgotten something. */
function logNewHistory(finding: HistoryFinding, logger: Pick<Logger, 'info' | 'warn'>): void {
  if (finding === 'whole') logger.info({ event: 'redis.restarted' }, 'Redis restarted and lost nothing');
  else if (finding === 'emptied')
    logger.warn({ event: 'redis.emptied' }, 'Redis was emptied or replaced: all OTPs are gone');
  else
    logger.warn(
      { event: 'redis.may_have_lost' },
      'Redis restarted or failed over and may have lost its last writes',
    );
}

/** Numbers may be sent to that were denied, so each trouble is an error. */
function logNumberListTrouble(trouble: NumberListTrouble, logger: Logger): void {
  const { kind, ...about } = trouble;
  const text =
    kind === 'unreadable'
      ? unreadableEntries(trouble.entries)
      : 'The allow and deny lists cannot be read from Redis: the last ones read stay in force, none if this process just started';
  logger.error({ event: `number_lists.${kind}`, ...about }, text);
}

/** Defaults and limits for OTP requests. */
export function requestSettings(
  { defaults, allowedCountries, otp, contentPolicy, fraud }: StoreConfig,
  apps: Apps,
): RequestSettings {
  return {
    ...otp,
    apps,
    defaultMessage: defaults.message,
    defaultSenderId: defaults.senderId ?? null,
    defaultCountry: defaults.country,
    allowedCountries,
    contentPolicy,
    fraudGuardEnforces: fraud.guard === 'enforce',
  };
}

/** Lists every member: a Lua function that names any other, such as a setting in seconds, fails to load. */
function policyOf(config: StoreConfig): Policy {
  const { otp, isms, limits, fraud, budget } = config;
  return {
    retentionMs: otp.retentionSeconds * 1_000,
    sendLeaseMs: isms.sendTimeoutMs + settleMs,
    verifyLeaseMs: isms.verifyTimeoutMs + settleMs,
    maxSendRetries: otp.maxSendRetries,
    maxResendsAfterUnknown: otp.maxResendsAfterUnknown,
    recipientCooldownMs: limits.recipientCooldownSeconds * 1_000,
    recipientPer10Minutes: limits.recipientPer10Minutes,
    recipientPerDay: limits.recipientPerDay,
    recipientPerDayAllApps: limits.recipientPerDayAllApps,
    appPerSecond: limits.appPerSecond,
    clientIpPer10Minutes: limits.clientIpPer10Minutes,
    creditsPerDay: budget.creditsPerDay,
    creditsPerMonth: budget.creditsPerMonth,
    budgetTimeZone: budget.timeZone,
    maxWrongCodes: limits.wrongCodes,
    fraudGuard: fraud.guard,
    events: wantedEvents(recordedEvents(config)),
  };
}

/** Events that are recorded. With APPS_FILE an app may get a receiver while the process runs, so all app events are. */
export function recordedEvents(config: Pick<StoreConfig, 'webhook' | 'appsFile'>): readonly EventType[] {
  const { webhook, appsFile } = config;
  const ofApps: readonly EventType[] = appsFile === undefined ? [] : appEventTypes;
  return [...new Set([...eventsOf(webhook?.events ?? []), ...ofApps])];
}

/** The events that `WEBHOOK_EVENTS` names. */
function eventsOf(names: readonly string[]): readonly EventType[] {
  return names.includes('all') ? eventTypes : names.filter(isEventType);
}

/** The receivers of apps, and the gateway's own for all other events; null when neither can exist. */
export function webhookReceivers(
  { webhook, appsFile }: Pick<ConfigFor<'producer'>, 'webhook' | 'appsFile'>,
  apps: Apps,
): WebhookReceivers | null {
  if (!webhook && appsFile === undefined) return null;
  const own = webhook && {
    endpoint: createWebhookEndpoint({
      url: webhook.url.reveal(),
      secrets: webhook.secrets.reveal(),
      allowPrivate: webhook.privateAddresses === 'allow',
    }),
    events: eventsOf(webhook.events),
  };
  const ofApps = new Map<string, WebhookEndpoint>();
  const endpointOf = ({ url, secrets, allowPrivate }: AppWebhook): WebhookEndpoint => {
    const name = [url, allowPrivate, ...secrets].join(' ');
    const endpoint = ofApps.get(name) ?? createWebhookEndpoint({ url, secrets, allowPrivate });
    ofApps.set(name, endpoint);
    return endpoint;
  };
  return {
    of: (type, app) => {
      const isOfApp = (appEventTypes as readonly EventType[]).includes(type);
      const ofApp = app === null || !isOfApp ? null : apps.of(app).webhook;
      if (ofApp) return !ofApp.events || ofApp.events.includes(type) ? endpointOf(ofApp) : null;
      return own?.events.includes(type) ? own.endpoint : null;
    },
    close: async () => {
      await Promise.all([own?.endpoint, ...ofApps.values()].map((endpoint) => endpoint?.close()));
    },
  };
}

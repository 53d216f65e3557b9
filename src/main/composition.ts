import type { ConfigFor } from '../config/roles.js';
import { createIsmsProvider } from '../isms/provider.js';
import type { Logger } from '../lib/logger.js';
import type { Apps } from '../otp/app.js';
import { appEventTypes, type EventType, eventTypes, isEventType } from '../otp/event.js';
import type { Provider } from '../otp/provider.js';
import type { RequestSettings } from '../producer/otp-request.js';
import { operatorPauseKeys } from '../queues/send-otp.js';
import { createEncrypter } from '../store/encryption.js';
import { type Policy, type RedisClient, wantedEvents } from '../store/script.js';
import { createStore, type Store } from '../store/store.js';
import { logNewHistory } from './redis.js';

/* Parts made from the configuration that commands and producers need as well: without the API and the workers. */

type StoreConfig = ConfigFor<'producer'>;

/** Time for Redis to record a call that used its whole time-out. */
const settleMs = 2_000;
const verifyConnections = 64;

/** The client of the iSMS account, with a connection for each send that may be in flight. */
export function ismsProvider({
  isms,
  account,
  worker,
}: Pick<ConfigFor<'worker'>, 'isms' | 'account' | 'worker'>): Provider {
  return createIsmsProvider({
    ...isms,
    username: account.username,
    password: account.password.reveal(),
    sendConnections: worker.concurrency,
    verifyConnections,
  });
}

/** The records in Redis, over a connection that suits the process. */
export function storeOf(
  redis: RedisClient,
  config: StoreConfig,
  logger: Pick<Logger, 'info' | 'warn'>,
): Store {
  return createStore({
    redis,
    encrypter: createEncrypter(config.encryptionKeys.reveal()),
    policy: policyOf(config),
    operatorPauseKeys: operatorPauseKeys(config.queues.shards),
    safeRanges: config.fraud.safeRanges,
    balanceLimits: config.balance,
    auditRetentionDays: config.auditRetentionDays,
    onNewHistory: (finding) => logNewHistory(finding, logger),
  });
}

/** Defaults and limits for OTP requests. */
export function requestSettings(
  { defaults, allowedCountries, otp, contentPolicy, fraud }: StoreConfig,
  apps: Apps,
): RequestSettings {
  return {
    apps,
    defaultMessage: defaults.message,
    defaultSenderId: defaults.senderId ?? null,
    defaultCountry: defaults.country,
    allowedCountries,
    ttlSeconds: otp.ttlSeconds,
    maxAttempts: otp.maxAttempts,
    sendDeadlineSeconds: otp.sendDeadlineSeconds,
    bulkSendDeadlineSeconds: otp.bulkSendDeadlineSeconds,
    contentPolicy,
    fraudGuardEnforces: fraud.guard === 'enforce',
  };
}

function policyOf(config: StoreConfig): Policy {
  const { otp, isms, limits, fraud } = config;
  return {
    keepMs: otp.retentionSeconds * 1_000,
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
    wrongCodes: limits.wrongCodes,
    fraudGuard: fraud.guard,
    events: wantedEvents(recordedEvents(config)),
  };
}

/** Events that are recorded. With APPS_FILE an app may get a receiver while the process runs, so all app events are. */
export function recordedEvents({
  webhook,
  appsFile,
}: Pick<StoreConfig, 'webhook' | 'appsFile'>): readonly EventType[] {
  const ofApps: readonly EventType[] = appsFile === undefined ? [] : appEventTypes;
  return [...new Set([...eventsOf(webhook?.events ?? []), ...ofApps])];
}

/** The events that `WEBHOOK_EVENTS` names. */
export function eventsOf(names: readonly string[]): readonly EventType[] {
  return names.includes('all') ? eventTypes : names.filter(isEventType);
}

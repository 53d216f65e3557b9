import type { Logger as PinoLogger } from 'pino';
import type { ConfigFor } from '../config/commands.js';
import { createIsmsProvider } from '../isms/provider.js';
import type { Logger } from '../lib/logger.js';
import type { Apps } from '../otp/app.js';
import type { Provider } from '../otp/provider.js';
import type { RequestSettings } from '../producer/settings.js';
import { operatorPauseKeys } from '../queues/send-otp.js';
import { createEncrypter } from '../store/encryption.js';
import { type Policy, type RedisClient, wantedEvents } from '../store/script.js';
import { createStore, type Store } from '../store/store.js';
import { logNewHistory } from './redis.js';
import type { Parts } from './running.js';
import { recordedEvents } from './webhook-receivers.js';

type GatewayConfig = ConfigFor<'worker'>;
/** What producers and the operator's commands have, too. */
type StoreConfig = ConfigFor<'producer'>;

/** Time for Redis to hear of a call that used its whole time-out. */
const settleMs = 2_000;
const verifyConnections = 64;

/** The iSMS account of this configuration; as many connections as there may be sends in flight. */
export function ismsProvider({
  isms,
  account,
  worker,
}: Pick<GatewayConfig, 'isms' | 'account' | 'worker'>): Provider {
  return createIsmsProvider({
    ...isms,
    username: account.username,
    password: account.password.reveal(),
    sendConnections: worker.concurrency,
    verifyConnections,
  });
}

/** Everything kept in Redis, over a connection that suits the process. */
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

/** What requests for OTPs are completed with and measured by. */
export function requestSettings(
  { defaults, allowedCountries, otp, contentPolicy, fraud }: ConfigFor<'producer'>,
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

/**
 * Ends the process when a connection ends that nobody closed: it does not come back by itself, and a process that is
 * started anew has one (ADR 34).
 */
export function failWithout(redis: RedisClient, parts: Parts, logger: Pick<PinoLogger, 'fatal'>): void {
  redis.once('end', () => {
    if (parts.isEnding()) return;
    logger.fatal(
      { event: 'redis.connection_ended' },
      'the connection to Redis ended for good: this process ends and has to be started again',
    );
    parts.fail();
  });
}

/** Closes a connection politely, or at once when Redis does not answer. */
export async function disconnect(redis: RedisClient): Promise<void> {
  if (redis.status === 'ready') await redis.quit().catch(() => {});
  redis.disconnect();
}

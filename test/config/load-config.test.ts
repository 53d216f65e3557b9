import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig } from '../../src/config/load-config.js';
import { canaries, complete, settingErrors } from './environment.js';

describe('loadConfig', () => {
  it('gives every variable of the contract its default', () => {
    const config = loadConfig({}, 'start');
    expect(config).toEqual({
      http: { host: '127.0.0.1', port: 3000, ismsCompatApi: 'post' },
      isms: {
        urls: ['https://www.isms.com.my/2FA/request.php'],
        connectTimeoutMs: 3000,
        sendTimeoutMs: 30_000,
        verifyTimeoutMs: 10_000,
      },
      adminActions: 'off',
      metrics: { host: '127.0.0.1' },
      tracing: { ratio: 1 },
      auditRetentionDays: 0,
      defaults: {
        message: 'Your {brand} verification code is %OTP%. Do not share it with anyone.',
        country: 'MY',
      },
      allowedCountries: ['MY'],
      queues: { shards: 1 },
      worker: { concurrency: 50 },
      otp: {
        ttlSeconds: 300,
        maxAttempts: 5,
        sendDeadlineSeconds: 120,
        bulkSendDeadlineSeconds: 3600,
        maxSendRetries: 10,
        maxResendsAfterUnknown: 1,
        retentionSeconds: 86_400,
      },
      limits: {
        recipientCooldownSeconds: 30,
        recipientPer10Minutes: 5,
        recipientPerDay: 10,
        recipientPerDayAllApps: 20,
        wrongCodes: 100,
        clientIpPer10Minutes: 60,
        appPerSecond: 0,
        appSendsPerSecond: 0,
        sendPerSecond: 0,
      },
      budget: { creditsPerDay: 0, creditsPerMonth: 0, timeZone: 'Asia/Kuala_Lumpur' },
      balance: { everySeconds: 300, lowCredits: 100, expiryWarnDays: 14 },
      fraud: { guard: 'monitor' },
      contentPolicy: 'enforce',
      logLevel: 'info',
    });
  });

  it('gives the secrets to those who ask for them', () => {
    const config = loadConfig(complete, 'api');
    expect(config.redisUrl.reveal()).toBe(complete.REDIS_URL);
    expect(config.account.password.reveal()).toBe(canaries.isms);
    expect(config.admin?.password.reveal()).toBe(canaries.admin);
    expect(config.encryptionKeys.reveal()).toEqual([Buffer.from(canaries.data, 'base64')]);
  });

  it.each([
    ['api', ['REDIS_URL', 'ISMS_USERNAME', 'ISMS_PASSWORD', 'ENCRYPTION_KEYS', 'API_KEYS']],
    ['worker', ['REDIS_URL', 'ISMS_USERNAME', 'ISMS_PASSWORD', 'ENCRYPTION_KEYS']],
    ['simulate', []],
    ['start', []],
  ] as const)('does not let `%s` start without what it requires', (command, required) => {
    const nothing = Object.fromEntries(Object.keys(complete).map((name) => [name, undefined]));
    const missing = required.map((name) => expect.stringMatching(`^${name} is missing; it must be .`));
    expect(settingErrors(nothing, command)).toEqual(missing);
  });

  it('lets `api` start without API_KEYS where there is a file of apps', () => {
    const { API_KEYS: _, ...others } = complete;
    expect(loadConfig({ ...others, APPS_FILE: 'apps.json' }, 'api').appsFile).toBe('apps.json');
  });

  it('counts an empty variable as unset', () => {
    expect(loadConfig({ PORT: '', REDIS_URL: '', REDIS_URL_FILE: '' }, 'simulate')).toMatchObject({
      http: { port: 3000, ismsCompatApi: 'post' },
    });
    expect(settingErrors({ REDIS_URL: '' })).toEqual([expect.stringMatching(/^REDIS_URL is missing/)]);
  });

  it('lists all errors in one error', () => {
    const wrong = {
      PORT: 'x',
      OTP_TTL_SECONDS: '1',
      REDIS_URL: 'http://x',
      ENCRYPTION_KEYS: 'y',
      ISMS_PASSWORD: '',
    };
    expect(() => loadConfig({ ...complete, ...wrong }, 'api')).toThrow(ConfigError);
    const names = settingErrors(wrong).map((line) => line.split(' ')[0]);
    expect(names.sort()).toEqual(Object.keys(wrong).sort());
  });

  it.each([
    ['ISMS_USERNAME', 'ISMS_PASSWORD'],
    ['ADMIN_USERNAME', 'ADMIN_PASSWORD'],
  ])('takes %s and %s only together', (one, other) => {
    const although = (missing: string, set: string) =>
      expect.stringMatching(`^${missing} is missing although ${set} is set`);
    expect(settingErrors({ [one]: undefined }, 'start')).toEqual([although(one, other)]);
    expect(settingErrors({ [other]: undefined }, 'start')).toEqual([although(other, one)]);
  });

  it.each([
    ['MAX_RESENDS_AFTER_UNKNOW', 'MAX_RESENDS_AFTER_UNKNOWN'],
    ['LOG_LEVL', 'LOG_LEVEL'],
    ['FRAUD_GAURD', 'FRAUD_GUARD'],
    ['FRUAD_GUARD', 'FRAUD_GUARD'],
    ['API_KEY', 'API_KEYS'],
    ['API_KEY_FILE', 'API_KEYS_FILE'],
    ['REDIS_URI', 'REDIS_URL'],
    ['ISMS_USER', 'ISMS_USERNAME'],
    ['ISMS_PASS', 'ISMS_PASSWORD'],
    ['OTP_TTL', 'OTP_TTL_SECONDS'],
    ['WEBHOOK_SECRETS', 'WEBHOOK_SECRET'],
    ['ENCRYPTION_KEY', 'ENCRYPTION_KEYS'],
    ['LIMT_SEND_PER_SECOND', 'LIMIT_SEND_PER_SECOND'],
  ])('stops at %s and suggests %s', (misspelt, meant) => {
    expect(settingErrors({ [meant]: undefined, [misspelt]: 'x' }, 'start')).toContainEqual(
      `${misspelt} is not a setting; did you mean ${meant}?`,
    );
  });

  it('ignores variables of other programs', () => {
    const others = [
      ...[
        'HOSTS',
        'HOSTNAME',
        'OTP_HOME',
        'OTP_URL',
        'OTP_KEY',
        'OTP_PORT',
        'OTP_SERVICE_HOST',
        'WEBHOOK_PORT',
      ],
      ...[
        'ISMS_OTP_URL',
        'ISMS_OTP_KEY',
        'ISMS_OTP_KEY_FILE',
        'ISMS_PORT',
        'ISMS_PORT_3000_TCP',
        'ISMS_OTP_PORT',
      ],
      ...[
        'APP_KEYS',
        'APP_KEY',
        'API_PORT',
        'REDIS_PORT',
        'REDIS_HOST',
        'REDIS_PASSWORD',
        'REDIS_PORT_6379_TCP',
      ],
      ...[
        'LOG_DIR',
        'LOG_FILE',
        'LOGLEVEL',
        'METRICS_PATH',
        'ADMIN_EMAIL',
        'QUEUE_NAME',
        'WORKER_ID',
        'PATH',
      ],
      ...[
        'OTEL_SERVICE_NAME',
        'OTEL_EXPORTER_OTLP_HEADERS',
        'OTEL_TRACES_SAMPLER',
        'NODE_ENV',
        'DEFAULT_LOCALE',
      ],
    ];
    const environment = Object.fromEntries(others.map((name) => [name, 'x']));
    expect(() => loadConfig(environment, 'start')).not.toThrow();
  });

  it('stops at the former name of a setting and says what replaced it', () => {
    const former = { DATA_KEY: 'x', UNKNOWN_RESENDS: '0', FRAUD_SAFE_RANGES: '6012345' };
    expect(settingErrors(former)).toEqual([
      'DATA_KEY was renamed to ENCRYPTION_KEYS',
      'UNKNOWN_RESENDS was renamed to MAX_RESENDS_AFTER_UNKNOWN',
      'FRAUD_SAFE_RANGES was replaced by isms-otp numbers allow',
    ]);
  });

  it('lets the domain judge message and sender ID', () => {
    const checks = {
      DEFAULT_MESSAGE: (text: string) => (text === 'good' ? null : 'must be good'),
      DEFAULT_SENDER_ID: () => 'must be shorter',
    };
    expect(settingErrors({ DEFAULT_MESSAGE: 'good' }, 'api', checks)).toEqual([]);
    expect(settingErrors({ DEFAULT_MESSAGE: 'bad', DEFAULT_SENDER_ID: 'x' }, 'api', checks)).toEqual([
      'DEFAULT_MESSAGE must be good',
      'DEFAULT_SENDER_ID must be shorter',
    ]);
  });

  it('never puts the value of a variable into an error', () => {
    const wrong = Object.keys(complete).map((name) => [name, `\u0007canary of ${name}`]);
    const error = settingErrors({
      ...Object.fromEntries(wrong),
      ISMS_URL: 'ftp://canary',
      LOG_LEVEL: 'canary',
    });
    expect(error).toHaveLength(wrong.length + 2);
    expect(error.join()).not.toContain('canary');
  });
});

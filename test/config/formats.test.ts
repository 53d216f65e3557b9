import express from 'express';
import { describe, expect, it } from 'vitest';
import { load, settingErrors } from './environment.js';

describe('whole numbers', () => {
  it.each(['50abc', '1e3', '-1', ' 5', '5 ', '+5', '5.0', '05', '0x10', '٥', 'Infinity', '9'.repeat(400)])(
    'are plain digits: "%s" is refused',
    (text) => {
      expect(settingErrors({ WORKER_CONCURRENCY: text })).toEqual([
        'WORKER_CONCURRENCY must be a whole number from 1 to 1000',
      ]);
    },
  );

  it.each([
    ['PORT', 0, 65_535],
    ['METRICS_PORT', 0, 65_535],
    ['OTP_TTL_SECONDS', 30, 600],
    ['OTP_MAX_ATTEMPTS', 1, 10],
    ['OTP_SEND_DEADLINE_SECONDS', 1, 86_400],
    ['BULK_SEND_DEADLINE_SECONDS', 1, 86_400],
    ['OTP_RETENTION_SECONDS', 60, 31_536_000],
    ['MAX_RESENDS_AFTER_UNKNOWN', 0, 10],
    ['LIMIT_RECIPIENT_COOLDOWN_SECONDS', 0, 86_400],
    ['LIMIT_SEND_PER_SECOND', 0, 1_000_000],
  ])('%s lies between %d and %d', (name, min, max) => {
    expect(settingErrors({ [name]: String(min) })).toEqual([]);
    expect(settingErrors({ [name]: String(max) })).toEqual([]);
    const refused = [`${name} must be a whole number from ${min} to ${max}`];
    expect(settingErrors({ [name]: String(max + 1) })).toEqual(refused);
    expect(settingErrors({ [name]: String(min - 1) })).toEqual(refused);
  });
});

describe('OTEL_TRACES_SAMPLER_ARG', () => {
  it.each([
    ['0', 0],
    ['1', 1],
    ['0.25', 0.25],
    ['.5', 0.5],
    ['1.0', 1],
  ])('%s is a share', (text, share) => {
    expect(load({ OTEL_TRACES_SAMPLER_ARG: text }).tracing.ratio).toBe(share);
  });

  it.each(['1.1', '-0.5', '50%', 'all', '1e-1', '0,5'])('%s is none', (text) => {
    expect(settingErrors({ OTEL_TRACES_SAMPLER_ARG: text })).toHaveLength(1);
  });
});

describe('BUDGET_TIME_ZONE', () => {
  it.each(['Asia/Kuala_Lumpur', 'UTC', 'America/Argentina/Buenos_Aires'])('%s is an IANA name', (zone) => {
    expect(load({ BUDGET_TIME_ZONE: zone }).budget.timeZone).toBe(zone);
  });

  it.each(['Kuala Lumpur', '+08:00', 'Asia/Atlantis', 'GMT+8', 'local'])('%s is none', (zone) => {
    expect(settingErrors({ BUDGET_TIME_ZONE: zone })).toHaveLength(1);
  });
});

describe('countries', () => {
  it('are codes that libphonenumber knows', () => {
    expect(load({ ALLOWED_COUNTRIES: 'SG, MY,SG', DEFAULT_COUNTRY: 'SG' })).toMatchObject({
      allowedCountries: ['SG', 'MY'],
      defaults: { country: 'SG' },
    });
  });

  it.each(['XX', 'my', 'Malaysia', 'MYS', 'toString', '60'])('refuse %s', (code) => {
    expect(settingErrors({ DEFAULT_COUNTRY: code, ALLOWED_COUNTRIES: `MY,${code}` })).toHaveLength(2);
  });

  it.each(['MY,', ',', 'MY SG', 'MY;SG'])('are separated by commas: "%s" is refused', (list) => {
    expect(settingErrors({ ALLOWED_COUNTRIES: list })).toHaveLength(1);
  });
});

describe('trusted proxies', () => {
  const proxies = (list: string | undefined) => load({ TRUSTED_PROXIES: list }).http.trustedProxies;

  it('are none by default', () => expect(proxies(undefined)).toBeUndefined());

  it('are addresses and ranges that Express takes', () => {
    const list = [
      '127.0.0.1',
      '::1',
      '10.0.0.0/8',
      '192.0.2.1/32',
      'fd00::/8',
      '::ffff:10.0.0.0/104',
      'FE80::1',
    ];
    expect(proxies(list.join(', '))).toEqual(list);
    expect(() => express().set('trust proxy', list)).not.toThrow();
  });

  it.each([
    'localhost',
    'loopback',
    '1',
    'true',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/255.0.0.0',
    '10.0.0.0/08',
    'fe80::1%eth0',
    '127.0.0.1,',
    '127.0.0.1:80',
    '[::1]',
  ])('are nothing else: "%s" is refused', (list) => {
    expect(settingErrors({ TRUSTED_PROXIES: list })).toHaveLength(1);
  });

  it.each(['0.0.0.0/0', '::/0'])('are not everybody: "%s" is refused', (list) => {
    expect(settingErrors({ TRUSTED_PROXIES: list })).toHaveLength(1);
  });
});

describe('ADMIN_ACTIONS', () => {
  it('is off unless it is on, with or without a login', () => {
    expect(load().adminActions).toBe('off');
    expect(load({ ADMIN_ACTIONS: 'on' }).adminActions).toBe('on');
    const noLogin = { ADMIN_USERNAME: undefined, ADMIN_PASSWORD: undefined };
    expect(settingErrors({ ...noLogin, ADMIN_ACTIONS: 'off' })).toEqual([]);
    expect(settingErrors({ ADMIN_ACTIONS: 'yes' })).toEqual(['ADMIN_ACTIONS must be one of off, on']);
  });
});

describe('text', () => {
  it.each(['a\nb', 'a\u0000', '\u001b[31m', '\ud800'])('holds no control characters', (text) => {
    const names = [
      'ISMS_USERNAME',
      'ISMS_PASSWORD',
      'ADMIN_USERNAME',
      'DEFAULT_MESSAGE',
      'DEFAULT_SENDER_ID',
    ];
    expect(settingErrors(Object.fromEntries(names.map((name) => [name, text])))).toHaveLength(names.length);
  });

  it('keeps the spaces of a password', () => {
    expect(load({ ISMS_PASSWORD: ' two  words ' }).account.password.reveal()).toBe(' two  words ');
  });
});

describe('the admin login', () => {
  it('has a password of at least 16 characters', () => {
    expect(settingErrors({ ADMIN_PASSWORD: 'abcd'.repeat(4) })).toEqual([]);
    expect(settingErrors({ ADMIN_PASSWORD: 'abcd'.repeat(4).slice(1) })).toHaveLength(1);
  });

  it.each(['x'.repeat(40), 'xyz'.repeat(10)])(
    'rejects the password %j, which holds under 4 different characters',
    (weak) => {
      expect(settingErrors({ ADMIN_PASSWORD: weak })).toEqual([
        expect.stringContaining('4 or more of them different'),
      ]);
    },
  );

  it('has a name without a colon, which HTTP Basic could not carry', () => {
    expect(settingErrors({ ADMIN_USERNAME: 'a:b' })).toHaveLength(1);
  });
});

describe('LOG_LEVEL', () => {
  it.each(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])('may be %s', (level) => {
    expect(load({ LOG_LEVEL: level }).logLevel).toBe(level);
  });

  it.each(['INFO', 'warning', '30'])('may not be %s', (level) => {
    expect(settingErrors({ LOG_LEVEL: level })).toHaveLength(1);
  });
});

describe('WORKER_SHARDS', () => {
  it.each([
    ['0', [0]],
    ['0-3,8', [0, 1, 2, 3, 8]],
    ['63, 5-5,5', [63, 5]],
  ])('may be %s', (text, shards) => {
    expect(load({ WORKER_SHARDS: text }).worker.shards).toEqual(shards);
  });

  it.each(['', '3-1', '64', '-1', '1-', '0-64', 'a', '1;2', '1,,2'])(
    '"%s" is refused, or is unset',
    (text) => {
      const found = settingErrors({ WORKER_SHARDS: text });
      if (text === '') expect(load({ WORKER_SHARDS: text }).worker.shards).toBeUndefined();
      else expect(found).toHaveLength(1);
    },
  );
});

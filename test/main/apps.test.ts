import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSimulator } from 'isms-2fa-simulator';
import { afterAll, describe, expect, it } from 'vitest';
import { createAppRegistry } from '../../src/main/apps.js';
import { load } from '../../src/main/load.js';
import { number } from '../support/otps.js';
import { gatewayEnvironment, runCommand, written } from '../support/processes.js';
import { connect, databaseUrl } from '../support/redis.js';

await connect();
const directory = mkdtempSync(join(tmpdir(), 'apps-'));
afterAll(() => rmSync(directory, { recursive: true }));

const digest = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const file = join(directory, 'apps.json');
type AppsConfig = Parameters<typeof createAppRegistry>[0];
const config: AppsConfig = {
  appsFile: file,
  apiKeys: undefined,
  allowedCountries: ['MY'],
  contentPolicy: 'enforce',
  defaults: load({}, 'start').defaults,
  otp: load({}, 'start').otp,
};
const shop = {
  keys: [digest('shop-key')],
  templates: {
    default: { en: 'Your Shop code is %OTP%.', ms: 'Kod Shop anda %OTP%.', zh: '您的验证码是 %OTP%。' },
    reset: { en: '%OTP% resets your password.' },
  },
  freeText: false,
  senderId: 'Shop',
  countries: ['MY', 'SG'],
  limitKeys: { user: { per10Minutes: 3 } },
  limits: { recipientCooldownSeconds: 60, perSecond: 5 },
  budget: { creditsPerDay: 100 },
  sendsPerSecond: 20,
  webhook: {
    url: 'https://shop.example/hook',
    secrets: [`whsec_${Buffer.alloc(32, 'secret').toString('base64')}`],
  },
  testNumbers: { '+60123456789': '246810' },
};

function registry(apps: unknown, overrides: Partial<AppsConfig> = {}) {
  writeFileSync(file, typeof apps === 'string' ? apps : JSON.stringify({ apps }));
  return createAppRegistry({ ...config, ...overrides });
}

function settingErrors(apps: unknown, overrides: Partial<AppsConfig> = {}): string[] {
  try {
    registry(apps, overrides);
    return [];
  } catch (error) {
    return (error as Error).message
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
  }
}

describe('APPS_FILE', () => {
  it('says what each app may, and leaves the gateway’s own in force for the rest', () => {
    const apps = registry({ shop, bank: { keys: [digest('bank-key')] } });
    expect(apps.of('shop')).toMatchObject({
      freeText: false,
      senderId: 'Shop',
      sendsPerSecond: 20,
      limits: { recipientCooldownMs: 60_000, appPerSecond: 5, creditsPerDay: 100 },
    });
    expect([...apps.of('shop').limitKeys]).toEqual([
      ['user', { per10Minutes: 3, perDay: 0, required: false }],
    ]);
    expect(apps.of('bank').limitKeys.size).toBe(0);
    expect(apps.of('shop').testNumbers.get(number().e164)).toBe('246810');
    expect(apps.of('bank')).toMatchObject({ freeText: true, senderId: null, countries: null, webhook: null });
    expect(apps.of('nobody')).toMatchObject({ name: 'nobody', freeText: true });
    expect(apps.keys().map(({ app }) => app)).toEqual(['shop', 'bank']);
  });

  it.each([
    [{ shop: { ...shop, keys: ['plain-key'] } }, /apps.shop.keys.0: must be sha256:/],
    [{ shop: { ...shop, keys: [digest('')] } }, /apps.shop.keys: holds the digest of an empty key/],
    [{ shop: { ...shop, countries: ['UK'] } }, /apps.shop.countries.0: must be an ISO 3166-1 code/],
    [
      { shop: { ...shop, webhook: { ...shop.webhook, secrets: [`${shop.webhook.secrets[0]},whsec_x`] } } },
      /apps.shop.webhook.secrets.0: must be whsec_/,
    ],
    [
      { shop: { ...shop, webhook: { ...shop.webhook, secrets: [`${shop.webhook.secrets[0]} `] } } },
      /apps.shop.webhook.secrets.0: must be whsec_/,
    ],
    [{ shop: { ...shop, colour: 'red' } }, /apps.shop.colour: is unknown/],
    [{ Shop: shop }, /apps.Shop: must be 1 to 32 of a-z 0-9 _ -/],
    [
      { shop: { ...shop, templates: { default: { en: 'no code' } } } },
      /templates.default.en: must hold %OTP% exactly/,
    ],
    [
      { shop: { ...shop, templates: { default: shop.templates.default }, defaultLocale: 'ta' } },
      /templates.default: must have a text in the default language, ta/,
    ],
    [{ shop: { templates: shop.templates } }, /apps.shop.keys: is missing/],
    [{ shop: { ...shop, templates: { default: {} } } }, /templates.default: must have a text/],
    [
      { shop: { ...shop, templates: { default: { en: '%OTP% https://x.my' } } } },
      /templates.default.en: must not .*MCMC/,
    ],
    [
      { shop: { ...shop, templates: { login: { en: '%OTP%' } } } },
      /freeText: is false, so there must be a template/,
    ],
    [{ shop: { ...shop, limitKeys: { user: {} } } }, /limitKeys.user: must have per10Minutes or perDay/],
    [{ shop: { ...shop, limitKeys: { User: { perDay: 1 } } } }, /limitKeys.User: must be 1 to 32 of a-z _ -/],
    [
      { shop: { ...shop, limitKeys: { user: { perDay: 1, perHour: 1 } } } },
      /limitKeys.user.perHour: is unknown/,
    ],
    ...['limitKeys', 'testNumbers', 'templates'].map((member): [object, RegExp] => [
      { shop: { ...shop, freeText: true, [member]: JSON.parse('{"__proto__": {}}') } },
      new RegExp(`apps.shop.${member}.__proto__: is not allowed as a name`),
    ]),
    [JSON.parse('{"__proto__": {}}'), /apps.__proto__: is not allowed as a name/],
    [
      { shop: { ...shop, templates: { default: { en: '%OTP%', ['__proto__']: '%OTP%' } } } },
      /templates.default.__proto__: is not allowed as a name/,
    ],
    [
      {
        shop: {
          ...shop,
          templates: { default: { en: '%OTP%', variables: JSON.parse('{"__proto__": {}}') } },
        },
      },
      /templates.default.variables.__proto__: is not allowed as a name/,
    ],
    [
      {
        shop: {
          ...shop,
          templates: {
            default: {
              en: '%OTP%',
              variables: Object.fromEntries(
                Array.from({ length: 21 }, (_, n) => [`v${n}`, { type: 'number', maxLength: 1 }]),
              ),
            },
          },
        },
      },
      /templates.default.variables: must have at most 20 members/,
    ],
    [
      { shop: { ...shop, limitKeys: { user: { required: true } } } },
      /limitKeys.user: must have per10Minutes/,
    ],
    [{ shop: { ...shop, senderId: 'not allowed!' } }, /senderId: must be letters and digits/],
    [
      { shop: { ...shop, testNumbers: { '0129876543': '246810' } } },
      /testNumbers: holds what is no mobile number/,
    ],
    [{ shop: { ...shop, testNumbers: { '+12025550123': '246810' } } }, /testNumbers: holds /],
    [
      { shop: { ...shop, testNumbers: { '+60129876543': '24681' } } },
      /testNumbers.\[number\]: must be six digits/,
    ],
    [
      { shop: { ...shop, webhook: { ...shop.webhook, url: 'http://shop.example/' } } },
      /webhook.url: must be https/,
    ],
    [
      { shop: { ...shop, webhook: { ...shop.webhook, events: ['otp.lost'] } } },
      /webhook.events.0: must be one of otp.sent/,
    ],
    [
      { shop: { ...shop, webhook: { ...shop.webhook, secrets: ['whsec_short'] } } },
      /secrets.0: must be whsec_/,
    ],
    [{ shop, bank: { keys: shop.keys } }, /apps.bank.keys: shop has one of these keys, too/],
    ['{"apps": {\n "shop": secret-of-mine }', /APPS_FILE is not JSON: see line 2, column 10$/],
  ])('that is wrong is rejected with the place and what to do (%#)', (apps, problem) => {
    const found = settingErrors(apps);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(problem);
    expect(found[0]).not.toMatch(/secret-of-mine|plain-key|29876543|whsec_short/);
  });

  it('has templates with a brand and variables', () => {
    const payment = {
      variables: { payee: { type: 'text', maxLength: 30 }, sum: { type: 'amount', maxLength: 9 } },
      en: '{brand}: RM{sum} to {payee}: %OTP%, {minutes} min',
    };
    const apps = registry({ shop: { ...shop, brand: 'Shop', templates: { default: payment } } });
    const { brand, templates } = apps.of('shop');
    expect(brand).toBe('Shop');
    expect(templates.get('default')).toEqual({
      texts: new Map([['en', 'Shop: RM{sum} to {payee}: %OTP%, {minutes} min']]),
      variables: new Map(Object.entries(payment.variables)),
    });
  });

  it.each([
    [{ brand: ' Shop' }, { en: '%OTP%' }, /apps.shop.brand: must be 1 to 30 visible/],
    [{ brand: 'Sh{o}p' }, { en: '%OTP%' }, /apps.shop.brand: must be 1 to 30 visible/],
    [{}, { en: '{brand} %OTP%' }, /templates.pay.en: holds {brand}, but the app has no brand/],
    [{ brand: 'Shop' }, { en: 'Code %OTP%' }, /templates.pay.en: must name the brand/],
    [{}, { en: 'To {payee}: %OTP%' }, /templates.pay.en: holds {payee}, which is not under variables/],
    [{}, { en: 'Code %OTP%', malay: '%OTP%' }, /templates.pay.malay: must be a BCP 47/],
    [
      {},
      { en: '%OTP%', variables: { payee: { type: 'text', maxLength: 30 } } },
      /pay.variables.payee: is in no text/,
    ],
    [
      {},
      { en: '%OTP%', variables: { payee: { type: 'name', maxLength: 30 } } },
      /pay.variables.payee.type: /,
    ],
    [
      {},
      { en: '%OTP%', variables: { payee: { type: 'text' } } },
      /pay.variables.payee.maxLength: is missing/,
    ],
    [
      {},
      { en: '%OTP%', variables: { payee: { type: 'number', maxLength: 5 } } },
      /payee.maxLength: must be at most 4/,
    ],
    [
      {},
      { en: '%OTP%', variables: { 'pay-ee': { type: 'text', maxLength: 3 } } },
      /pay.variables.pay-ee: must be 1 to 32/,
    ],
    [
      {},
      { en: `${'x'.repeat(290)}{payee}: %OTP%`, variables: { payee: { type: 'text', maxLength: 100 } } },
      /templates.pay.en: must not cost more than 5 credits; this one costs 7, its variables at their longest/,
    ],
  ])('that has a wrong brand or variable is rejected with the place (%#)', (more, pay, problem) => {
    const { templates } = shop;
    const brand = {
      ...templates,
      default: { en: 'Your Shop code is %OTP%.' },
      reset: { en: 'Shop: %OTP%' },
      pay,
    };
    const found = settingErrors({ shop: { ...shop, ...more, templates: brand } });
    expect(found).toEqual([expect.stringMatching(problem)]);
  });

  it('holds the brand of an app against DEFAULT_MESSAGE, and {minutes} against OTP_TTL_SECONDS', () => {
    const branded = { shop: { keys: shop.keys, brand: 'Shop' } };
    const withDefault = (message: string) => ({ defaults: { ...config.defaults, message } });
    expect(settingErrors(branded)).toEqual([]);
    expect(settingErrors(branded, withDefault('Code %OTP%'))).toEqual([
      expect.stringMatching(/apps.shop.brand: with it, DEFAULT_MESSAGE must name the brand/),
    ]);
    expect(settingErrors(branded, { ...withDefault('Code %OTP%'), allowedCountries: ['SG'] })).toEqual([]);
    const short = { otp: { ...config.otp, ttlSeconds: 30 } };
    const timed = { shop: { keys: shop.keys, templates: { default: { en: '%OTP%: {minutes} min' } } } };
    expect(settingErrors(timed, short)).toEqual([
      expect.stringMatching(/default.en: holds {minutes}, so OTP_TTL_SECONDS must be at least 60/),
    ]);
  });

  it('may hold a key that API_KEYS has for the same app, and two keys in all', () => {
    const apiKeys = ['shop-key', 'another'].map((key) => ({
      app: 'shop',
      digest: createHash('sha256').update(key).digest(),
    }));
    expect(settingErrors({ shop }, { apiKeys: apiKeys.slice(0, 1) })).toEqual([]);
    const third = { ...shop, keys: [digest('third')] };
    expect(settingErrors({ shop: third }, { apiKeys })).toEqual([
      expect.stringMatching(/apps.shop.keys: an app can have 2/),
    ]);
  });

  it('names all errors at once, and a file that is not there', () => {
    expect(settingErrors({ shop: { ...shop, senderId: '!', testNumbers: { x: '123456' } } })).toHaveLength(2);
    const several = {
      shop: { ...shop, senderId: '!', templates: 1, colour: 'red' },
      bank: { senderId: '?' },
    };
    expect(settingErrors(several)).toEqual([
      expect.stringMatching(/^APPS_FILE apps.shop.templates: /),
      'APPS_FILE apps.shop.colour: is unknown',
      'APPS_FILE apps.bank.keys: is missing',
      'APPS_FILE apps.shop.senderId: must be letters and digits, at most 11',
      'APPS_FILE apps.bank.senderId: must be letters and digits, at most 11',
    ]);
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`app-${i}`, {}]));
    expect(settingErrors(many)).toHaveLength(30);
    expect(() => createAppRegistry({ ...config, appsFile: join(directory, 'none.json') })).toThrow(/ENOENT/);
  });

  it('read again counts as a whole, or not at all', () => {
    const apps = registry({ shop });
    writeFileSync(file, JSON.stringify({ apps: { bank: { keys: [digest('bank-key')] } } }));
    apps.reload();
    expect(apps.keys().map(({ app }) => app)).toEqual(['bank']);
    expect(apps.of('shop').senderId).toBeNull();
    writeFileSync(file, JSON.stringify({ apps: { bank: { keys: ['?'] } } }));
    expect(() => apps.reload()).toThrow(/sha256/);
    expect(apps.keys().map(({ app }) => app)).toEqual(['bank']);
  });
});

describe('DEFAULT_MESSAGE', () => {
  it.each([
    [{ DEFAULT_MESSAGE: 'Code %OTP% of {shop}' }, /holds {shop}, which is not under variables/],
    [{ DEFAULT_MESSAGE: 'Code %OTP% {' }, /must not hold { or }/],
    [{ DEFAULT_MESSAGE: '{minutes} %OTP%' }, /between a variable and %OTP%/],
    [
      { DEFAULT_MESSAGE: '%OTP%: {minutes} min', OTP_TTL_SECONDS: '59' },
      /so OTP_TTL_SECONDS must be at least 60/,
    ],
    [{ DEFAULT_MESSAGE: '{brand} https://x.my %OTP%' }, /link/],
  ])('may hold the brand and the validity, and nothing else in braces (%#)', (environment, problem) => {
    expect(() => load(environment, 'start')).toThrow(problem);
  });

  it('names the brand where the app has one', () => {
    const message = '{brand}: %OTP%, {minutes} min';
    expect(load({ DEFAULT_MESSAGE: message }, 'start').defaults.message).toBe(message);
  });
});

describe('a running API', () => {
  it('ends when its terminal closes', async () => {
    const environment = {
      ...gatewayEnvironment(databaseUrl(), { endpoint: 'http://127.0.0.1:9/' }),
      PORT: '0',
    };
    const { NODE_ENV: _, ...inherited } = process.env;
    const command = `${process.execPath} dist/isms-otp.js api`;
    const terminal = spawn('script', ['-qc', command, '/dev/null'], {
      env: { ...inherited, ...environment, API_KEYS: `shop:${'key-'.repeat(6)}`, LOG_LEVEL: 'info' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let output = '';
    terminal.stdout.on('data', (chunk) => {
      output += chunk;
    });
    await expect.poll(() => output, { timeout: 20_000 }).toMatch(/api\.started/);
    const pid = Number(/"pid":(\d+)/.exec(output)?.[1]);
    terminal.kill('SIGKILL');
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 20_000 }).toBe(false);
  });

  it('goes on after SIGHUP where there is no APPS_FILE to read again', async () => {
    const simulator = await startSimulator();
    const environment = gatewayEnvironment(databaseUrl(), simulator);
    const api = runCommand('api', {
      ...environment,
      API_KEYS: `shop:${'key-'.repeat(6)}`,
      PORT: '0',
      LOG_LEVEL: 'info',
    });
    const [, url = ''] = await written(api, /"url":"([^"]+)"/);
    api.child.kill('SIGHUP');
    // Signals come in the order of their numbers at the latest, long before this answer.
    for (let i = 0; i < 3; i++) expect((await fetch(`${url}/livez`)).status).toBe(200);
    expect(await api.end('SIGTERM')).toBe(0);
    await simulator.close();
  });

  it('takes apps as the file has them after SIGHUP, and keeps those it had when that is wrong', async () => {
    const simulator = await startSimulator();
    const environment = gatewayEnvironment(databaseUrl(), simulator);
    const key = 'the-key-of-an-app-that-comes-later';
    writeFileSync(file, JSON.stringify({ apps: { bank: { keys: [digest('bank-key')] } } }));
    const api = runCommand('api', {
      ...environment,
      API_KEYS: '',
      APPS_FILE: file,
      PORT: '0',
      LOG_LEVEL: 'info',
    });
    await written(api, /api\.started/);
    const url = /"url":"([^"]+)"/.exec(api.output)?.[1] ?? '';
    const ask = async () =>
      (await fetch(`${url}/v1/otps?reference=x`, { headers: { authorization: `Bearer ${key}` } })).status;
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status).toBe(200);
    expect(await ask()).toBe(401);
    writeFileSync(file, JSON.stringify({ apps: { shop: { ...shop, keys: [digest(key)] } } }));
    api.child.kill('SIGHUP');
    await written(api, /apps\.reloaded/);
    expect(await ask()).toBe(200);
    writeFileSync(file, '{}');
    api.child.kill('SIGHUP');
    await written(api, /apps\.not_reloaded/);
    expect(await ask()).toBe(200);
    expect(await api.end('SIGTERM')).toBe(0);
    await simulator.close();
  });
});

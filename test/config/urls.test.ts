import { describe, expect, it } from 'vitest';
import { load, settingErrors } from './environment.js';

describe('ISMS_URL', () => {
  it.each([
    'https://ww3.isms.com.my/2FA/request.php',
    'https://isms.test:8443/x',
    'http://localhost:4000/2FA/request.php',
    'http://127.0.0.1:4000/',
    'http://127.8.9.10/',
    'http://[::1]:4000/',
  ])('may be %s', (url) => {
    expect(load({ ISMS_URL: url }).isms.urls).toEqual([url]);
  });

  it.each([
    'http://www.isms.com.my/2FA/request.php',
    'http://localhost.evil.test/',
    'http://127.0.0.1.evil.test/',
    'http://10.0.0.1/',
    'http://[::2]/',
    'http://0.0.0.0/',
  ])('sends no password in the clear to %s', (url) => {
    expect(settingErrors({ ISMS_URL: url })).toHaveLength(1);
  });

  it.each([
    'https://user@isms.test/',
    'https://user:pass@isms.test/',
    'https://isms.test/?un=x',
    'https://isms.test/?',
    'https://isms.test/#x',
    'ftp://localhost/',
    'isms.test/request.php',
    'https://',
    ' https://isms.test/',
  ])('is an address and nothing else: "%s" is refused', (url) => {
    expect(settingErrors({ ISMS_URL: url })).toHaveLength(1);
  });
});

describe('ISMS_URL of several hosts', () => {
  it('keeps their order', () => {
    const urls = ['https://b.test/2FA/request.php', 'https://a.test:8443/x', 'http://127.0.0.1:4000/'];
    expect(load({ ISMS_URL: urls.join(', ') }).isms.urls).toEqual(urls);
  });

  it.each([
    ['the same address twice', 'https://a.test/x,https://a.test/x'],
    ['two addresses of one host', 'https://a.test/x,https://A.test:443/y'],
    ['a password in the clear', 'https://a.test/,http://b.test/'],
    ['a login', 'https://a.test/,https://user:canary@b.test/'],
    ['a query', 'https://a.test/?un=canary,https://b.test/'],
    ['an empty one', 'https://a.test/,'],
    ['an empty one before', ',https://a.test/'],
  ])('refuses %s', (_, urls) => {
    const errors = settingErrors({ ISMS_URL: urls });
    expect(errors).toEqual([expect.stringContaining('several of different hosts')]);
    expect(errors.join()).not.toContain('canary');
  });
});

describe('REDIS_URL', () => {
  it.each([
    'redis://localhost',
    'rediss://user:p%40ss@redis:6380/15',
    'redis://[::1]:6379/',
    'redis://:p@h/0?family=6',
    'redis+sentinel://a:26379,b,c.test:1/mymaster',
    'rediss+sentinel://user:p%40ss@a:26379/my-master/3',
    'redis+cluster://a:6379,b,c.test:1',
    'rediss+cluster://user:p%40ss@a:6379/',
  ])('may be %s', (url) => {
    expect(load({ REDIS_URL: url }).redisUrl.reveal()).toBe(url);
  });

  it.each([
    'http://redis:6379',
    'redis:6379',
    'redis://',
    'redis://h/db',
    'redis://h:99999',
    'redis://a b/0',
    'redis://h#x',
    'redis+sentinel://a:26379,b',
    'redis+sentinel://a:26379,/m',
    'redis+sentinel:///m',
    'redis+sentinel://a:x/m',
    'redis+sentinel://a/m/n',
    'redis+cluster://',
    'redis+cluster://a,',
    'redis+cluster://a:x',
    'redis+cluster://a/0',
  ])('may not be "%s"', (url) => {
    expect(settingErrors({ REDIS_URL: url })).toHaveLength(1);
  });
});

it('a Sentinel URL shows where it leads, and not its login', () => {
  const { redisUrl } = load({ REDIS_URL: 'redis+sentinel://user:canary@a:1,b:2/mymaster/3' });
  expect(String(redisUrl)).toBe('redis+sentinel://[secret]@a:1,b:2/mymaster/3');
});

describe('OTEL_EXPORTER_OTLP_ENDPOINT', () => {
  it.each(['http://collector:4318', 'https://otlp.test/base'])('may be %s', (url) => {
    expect(settingErrors({ OTEL_EXPORTER_OTLP_ENDPOINT: url })).toEqual([]);
  });

  it.each(['collector:4318', 'grpc://collector:4317', 'http://user:pass@collector', 'http://collector?x=1'])(
    '"%s" is refused',
    (url) => {
      expect(settingErrors({ OTEL_EXPORTER_OTLP_ENDPOINT: url })).toHaveLength(1);
    },
  );
});

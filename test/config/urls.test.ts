import { describe, expect, it } from 'vitest';
import { load, mistakes } from './environment.js';

describe('ISMS_URL', () => {
  it.each([
    'https://ww3.isms.com.my/2FA/request.php',
    'https://isms.test:8443/x',
    'http://localhost:4000/2FA/request.php',
    'http://127.0.0.1:4000/',
    'http://127.8.9.10/',
    'http://[::1]:4000/',
  ])('may be %s', (url) => {
    expect(load({ ISMS_URL: url }).isms.url).toBe(url);
  });

  it.each([
    'http://www.isms.com.my/2FA/request.php',
    'http://localhost.evil.test/',
    'http://127.0.0.1.evil.test/',
    'http://10.0.0.1/',
    'http://[::2]/',
    'http://0.0.0.0/',
  ])('sends no password in the clear to %s', (url) => {
    expect(mistakes({ ISMS_URL: url })).toHaveLength(1);
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
    expect(mistakes({ ISMS_URL: url })).toHaveLength(1);
  });
});

describe('REDIS_URL', () => {
  it.each([
    'redis://localhost',
    'rediss://user:p%40ss@redis:6380/15',
    'redis://[::1]:6379/',
    'redis://:p@h/0?family=6',
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
  ])('may not be "%s"', (url) => {
    expect(mistakes({ REDIS_URL: url })).toHaveLength(1);
  });
});

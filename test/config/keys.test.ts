import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canaries, load, settingErrors } from './environment.js';

/** A key of its own for each letter. */
const key = (letter: string, length = 24) => `${letter}123`.repeat(length).slice(0, length);
const digest = (text: string) => createHash('sha256').update(text).digest();

describe('API_KEYS', () => {
  it('keeps digests, and no key', () => {
    expect(load().apiKeys).toEqual([{ app: 'shop', digest: digest(canaries.key) }]);
  });

  it('takes a key or its digest', () => {
    const hex = digest(key('a')).toString('hex');
    const plain = load({ API_KEYS: `shop:${key('a')}` });
    expect(load({ API_KEYS: `shop:sha256:${hex}` }).apiKeys).toEqual(plain.apiKeys);
    expect(load({ API_KEYS: `shop:sha256:${hex.toUpperCase()}` }).apiKeys).toEqual(plain.apiKeys);
  });

  it('takes 64 hex digits without "sha256:" for a key', () => {
    const hex = digest(key('a')).toString('hex');
    expect(load({ API_KEYS: `shop:${hex}` }).apiKeys).toEqual([{ app: 'shop', digest: digest(hex) }]);
  });

  it('lets an app have two live keys, not three', () => {
    const [one, two, three] = ['a', 'b', 'c'].map((letter) => `shop:${key(letter)}`);
    expect(load({ API_KEYS: `${one}, ${two},web-2:${key('d')}` }).apiKeys?.map(({ app }) => app)).toEqual([
      'shop',
      'shop',
      'web-2',
    ]);
    expect(settingErrors({ API_KEYS: `${one},${two},${three}` })).toEqual([
      'API_KEYS has an unusable entry 3 of 3: an app can have at most 2 keys',
    ]);
  });

  it('gives no two apps the same key', () => {
    const hex = digest(key('a')).toString('hex');
    expect(settingErrors({ API_KEYS: `shop:${key('a')},web:sha256:${hex}` })).toEqual([
      'API_KEYS has an unusable entry 2 of 2: this key is listed twice; give each app its own',
    ]);
  });

  it.each([
    `shop:${key('a', 23)}`,
    `shop:${'a'.repeat(24)}`,
    `shop:${'abc'.repeat(8)}`,
    key('a'),
    `Shop:${key('a')}`,
    `-shop:${key('a')}`,
    `${key('a', 33)}:${key('a')}`,
    `:${key('a')}`,
    `shop:sha256:${'0'.repeat(63)}`,
    `shop:sha256:${digest('').toString('hex')}`,
    `shop:sha1:${'0'.repeat(64)}`,
    `shop:${key('a')}:x`,
    `shop:${key('a')} b`,
    `shop:${key('ä')}`,
    `shop:${key('a')},`,
  ])('refuses "%s"', (entry) => {
    const count = entry.split(',').length;
    expect(settingErrors({ API_KEYS: entry })).toEqual([
      expect.stringMatching(`^API_KEYS has an unusable entry ${count} of ${count}; it must be app:key`),
    ]);
  });
});

describe('ENCRYPTION_KEYS', () => {
  const [one, two] = [Buffer.alloc(32, 'one.'), Buffer.alloc(32, 'two,')];

  it('keeps several keys in their order, the first of which encrypts', () => {
    const config = load({ ENCRYPTION_KEYS: `${one.toString('base64')},${two.toString('base64')}` });
    expect(config.encryptionKeys.reveal()).toEqual([one, two]);
  });

  it.each([
    Buffer.alloc(31).toString('base64'),
    Buffer.alloc(33).toString('base64'),
    Buffer.alloc(32, 'a').toString('base64'),
    Buffer.alloc(32, 'abc').toString('base64'),
    one.toString('hex'),
    one.toString('base64url'),
    `${one.toString('base64')},`,
    `${one.toString('base64')},short`,
    `${'A'.repeat(42)}B=`,
  ])('refuses "%s": not 32 random bytes in base64', (text) => {
    expect(settingErrors({ ENCRYPTION_KEYS: text })).toEqual([
      expect.stringMatching(/^ENCRYPTION_KEYS must be 32 bytes/),
    ]);
  });
});

import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { shownSettings } from '../../src/config/documentation.js';
import { Secret } from '../../src/config/formats.js';
import { canaries, load } from './environment.js';

describe('Secret', () => {
  it('shows that it is there', () => {
    const secret = new Secret('canary');
    expect([inspect({ secret }), JSON.stringify({ secret }), `${secret}`]).toEqual([
      '{ secret: [secret] }',
      '{"secret":"[secret]"}',
      '[secret]',
    ]);
  });
});

describe('secrets in Config', () => {
  const ways = {
    inspected: inspect(load(), { depth: Number.POSITIVE_INFINITY, showHidden: true }),
    serialised: JSON.stringify(load()),
    'put into a string': Object.values(load()).map(String).join(),
    shown: JSON.stringify(shownSettings(load())),
    enumerated: JSON.stringify(Object.entries(load().redisUrl)),
  };

  it.each(Object.entries(ways))('stay hidden when it is %s', (_way, shown) => {
    const bytes = JSON.stringify([...Buffer.from(canaries.data, 'base64')]).slice(1, -1);
    for (const canary of [...Object.values(canaries), bytes]) expect(shown).not.toContain(canary);
  });
});

import { describe, expect, it } from 'vitest';
import { describeConfig } from '../../src/config/documentation.js';
import { loadConfig } from '../../src/config/load-config.js';
import { settings } from '../../src/config/roles.js';
import { canaries, load } from './environment.js';

const linesOf = (text: string) => new Map(text.split('\n').map((line) => [line.split(' ')[0], line]));

describe('describeConfig', () => {
  it('has a line for every variable', () => {
    const lines = linesOf(describeConfig(loadConfig({}, 'start')));
    expect(settings.filter(({ name }) => !lines.has(name))).toEqual([]);
    expect(lines.get('ISMS_PASSWORD')).toMatch(/ -$/);
  });

  it('says enough of a secret to know which one it is', () => {
    const lines = linesOf(describeConfig(load({ ENCRYPTION_KEYS: `${canaries.data},${canaries.data}` })));
    expect(lines.get('REDIS_URL')).toMatch(/ redis:\/\/\[secret\]@redis:6379\/0$/);
    expect(lines.get('API_KEYS')).toMatch(/ shop \(sha256 [0-9a-f]{8}…\)$/);
    expect(lines.get('ENCRYPTION_KEYS')).toMatch(/ \[2 secrets\]$/);
  });
});

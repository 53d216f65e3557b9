import { describe, expect, it } from 'vitest';
import { shownSettings } from '../../src/config/documentation.js';
import { loadConfig } from '../../src/config/load-config.js';
import { settings } from '../../src/config/roles.js';
import { canaries, load } from './environment.js';

describe('shownSettings', () => {
  it('has a value for every variable', () => {
    const shown = shownSettings(loadConfig({}, 'start'));
    expect(settings.filter(({ name }) => !shown[name])).toEqual([]);
    expect(shown['ISMS_PASSWORD']).toBe('-');
  });

  it('says enough of a secret to know which one it is', () => {
    const shown = shownSettings(load({ ENCRYPTION_KEYS: `${canaries.data},${canaries.data}` }));
    expect(shown['REDIS_URL']).toMatch(/^redis:\/\/\[secret\]@redis:6379\/0$/);
    expect(shown['API_KEYS']).toMatch(/^shop \(sha256 [0-9a-f]{8}…\)$/);
    expect(shown['ENCRYPTION_KEYS']).toBe('[2 secrets]');
  });
});

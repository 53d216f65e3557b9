import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { complete, load, settingErrors } from './environment.js';

describe('secrets from files', () => {
  let dir: string;
  const file = (text: string) => {
    const path = join(dir, 'secret');
    writeFileSync(path, text);
    return path;
  };
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'otp-config-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  it.each(['REDIS_URL', 'ISMS_PASSWORD', 'API_KEYS', 'ENCRYPTION_KEYS', 'ADMIN_PASSWORD'] as const)(
    'holds for %s',
    (name) => {
      const path = file(complete[name]);
      expect(load({ [name]: undefined, [`${name}_FILE`]: path })).toEqual(load());
    },
  );

  it.each(['secret', 'secret\n', 'secret\r\n'])('drops one newline at the end of %j', (text) => {
    const config = load({ ISMS_PASSWORD: undefined, ISMS_PASSWORD_FILE: file(text) });
    expect(config.account.password.reveal()).toBe('secret');
  });

  it('refuses a variable and its file together', () => {
    expect(settingErrors({ ISMS_PASSWORD_FILE: file('secret') })).toEqual([
      'ISMS_PASSWORD and ISMS_PASSWORD_FILE are both set; keep one of them',
    ]);
  });

  it('says which file cannot be read, once', () => {
    expect(settingErrors({ ENCRYPTION_KEYS: undefined, ENCRYPTION_KEYS_FILE: join(dir, 'none') })).toEqual([
      'ENCRYPTION_KEYS_FILE must name a file that can be read (ENOENT)',
    ]);
    expect(settingErrors({ ENCRYPTION_KEYS: undefined, ENCRYPTION_KEYS_FILE: file('\n') })).toEqual([
      'ENCRYPTION_KEYS_FILE names an empty file',
    ]);
  });

  it('names the variable when the text in its file is wrong', () => {
    expect(settingErrors({ ENCRYPTION_KEYS: undefined, ENCRYPTION_KEYS_FILE: file('short') })).toEqual([
      expect.stringMatching(/^ENCRYPTION_KEYS must be 32 bytes/),
    ]);
  });
});

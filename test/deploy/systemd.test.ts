import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const read = (path: string) => readFileSync(`deploy/${path}`, 'utf8');

describe('the systemd units', () => {
  const units = readdirSync('deploy/systemd');

  it.each(units)('%s sets only what there is, and waits for what is under way', (unit) => {
    const text = read(`systemd/${unit}`);
    const names = [...text.matchAll(/(\w+)_FILE=%d\/(\w+)/g)].map(([, name, file]) => [name, file]);
    const loaded = [...text.matchAll(/^LoadCredential=(\w+):\/etc\/isms-otp\/secrets\/(\w+)$/gm)];
    expect(loaded.map(([, name, file]) => [name, file])).toEqual(names);
    const ofWorkers = ['REDIS_URL', 'ENCRYPTION_KEYS', 'ISMS_PASSWORD'];
    const ofApi = [...ofWorkers, 'API_KEYS', 'ADMIN_PASSWORD'];
    expect(names).toEqual((unit.includes('worker') ? ofWorkers : ofApi).map((name) => [name, name]));
    expect(Number(/TimeoutStopSec=(\d+)/.exec(text)?.[1])).toBeGreaterThanOrEqual(35);
  });

  const analyze = spawnSync('systemd-analyze', ['--version']).status === 0;
  it.runIf(analyze).each(units)('%s is one that systemd understands', (unit) => {
    const directory = mkdtempSync(join(tmpdir(), 'units-'));
    const check = (text: string) => {
      const file = join(directory, unit.replace('@.', '@1.'));
      writeFileSync(file, text.replace('/usr/bin/node', process.execPath));
      return spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' }).stderr;
    };
    expect(check(read(`systemd/${unit}`))).toBe('');
    expect(check(read(`systemd/${unit}`).replace('DynamicUser', 'DynamikUser'))).toContain('DynamikUser');
    rmSync(directory, { recursive: true });
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { settings } from '../src/config/commands.js';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const names = (text: string, pattern: RegExp) => [
  ...new Set([...text.matchAll(pattern)].map(([, name]) => name)),
];
const known = settings.map(({ name }) => name);

describe('docker-compose.yml', () => {
  const compose = read('docker-compose.yml');

  it('hands on every variable that there is, and no other', () => {
    const handedOn = names(compose, /\$\{([A-Z0-9_]+)/g);
    // Its own Redis is the one thing that is not left open.
    expect(handedOn.sort()).toEqual(known.filter((name) => name !== 'REDIS_URL').sort());
  });

  it('hands each variable on under its own name', () => {
    for (const [, name, from] of compose.matchAll(/^ +([A-Z0-9_]+): \$\{([A-Z0-9_]+)/gm))
      expect(from).toBe(name);
  });

  it('gives Redis the settings that the guarantees rest on', () => {
    const command = compose.match(/command:\n((?: +- .*\n)+)/)?.[1]?.replace(/ +- "?([^"\n]*)"?\n/g, '$1 ');
    expect(command).toContain('--appendonly yes --appendfsync always ');
    expect(command).toContain('--maxmemory 1gb --maxmemory-policy noeviction --hz 100 ');
  });
});

describe('docs/env.example', () => {
  it('names only variables that there are', () => {
    expect(
      names(read('docs/env.example'), /^#?([A-Z0-9_]+)=/gm).filter((name) => !known.includes(String(name))),
    ).toEqual([]);
  });
});

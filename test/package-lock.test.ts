import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface LockedPackage {
  integrity?: string;
  resolved?: string;
  link?: boolean;
}

it.each(['package-lock.json', 'site/package-lock.json'])(
  '%s pins every package by its checksum, and names no registry',
  (lock) => {
    const { packages } = JSON.parse(readFileSync(lock, 'utf8')) as {
      packages: Record<string, LockedPackage>;
    };
    const installed = Object.entries(packages).filter(
      ([path, { link }]) => path.includes('node_modules/') && !link,
    );
    expect(installed.length).toBeGreaterThan(100);
    expect(installed.filter(([, { integrity }]) => !integrity?.startsWith('sha512-'))).toEqual([]);
    expect(installed.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  },
);

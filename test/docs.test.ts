import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { moves } from '../src/otp/states.js';

it('the state diagram in docs/states.md shows every move of the state machine, and no other', () => {
  const text = readFileSync('docs/states.md', 'utf8');
  const drawn = [...text.matchAll(/^ {2}(\w+) --> (\w+) :/gm)].map(([, from, to]) => `${from} → ${to}`);
  const allowed = Object.entries(moves).flatMap(([from, all]) => all.map((to) => `${from} → ${to}`));
  expect(drawn.sort()).toEqual(allowed.sort());
});

it('docs/operations.md explains every event that is logged, and no other', () => {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  );
  const texts = sources.map((path) => readFileSync(`src/${path}`, 'utf8'));
  // Where a name has a part that changes, all of them begin alike.
  const logged = texts.flatMap((text) =>
    [...text.matchAll(/\bevent: ['`]([a-z_]+\.[a-z_]*)/g)].map(([, name]) => name),
  );
  const page = readFileSync('docs/operations.md', 'utf8').split('## Log events')[1] ?? '';
  const cells = [...page.matchAll(/^\| ([^|]+) \|/gm)].map(([, cell]) => cell ?? '');
  const explained = cells.flatMap((cell) =>
    [...cell.matchAll(/`([a-z_]+\.[a-z_]+)`/g)].map(([, name]) => name ?? ''),
  );
  expect(explained.length).toBeGreaterThan(30);
  expect(
    [...new Set(logged)].filter((name) => !explained.some((each) => each.startsWith(name ?? ''))),
  ).toEqual([]);
  expect(explained.filter((name) => !logged.some((each) => name.startsWith(each ?? '')))).toEqual([]);
});

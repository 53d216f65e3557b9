import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { moves } from '../src/otp/states.js';

it('the state diagram shows every move of the state machine, and no other', () => {
  const text = readFileSync('docs/architecture.md', 'utf8');
  const drawn = [...text.matchAll(/^ {2}(\w+) --> (\w+) :/gm)].map(([, from, to]) => `${from} → ${to}`);
  const allowed = Object.entries(moves).flatMap(([from, all]) => all.map((to) => `${from} → ${to}`));
  expect(drawn.sort()).toEqual(allowed.sort());
});

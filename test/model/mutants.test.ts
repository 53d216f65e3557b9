import fc from 'fast-check';
import { expect, it } from 'vitest';
import { afterFile } from '../support/clean-up.js';
import { full } from '../support/fault-table.js';
import { startRedisServer } from '../support/redis-server.js';
import { life } from './life.js';
import { mutants } from './mutants.js';
import { createSystem } from './system.js';

const server = await startRedisServer({ appendfsync: 'everysec' });
afterFile(server.stop);

/** The first ones are found within a few histories. */
const tried = full ? mutants : mutants.slice(0, 6);

it.each(tried)('the model finds a function that $does', { timeout: 1_800_000 }, async ({ from, to }) => {
  let mutated = 0;
  const system = createSystem(server, (source) => {
    if (source.includes(from)) mutated += 1;
    return source.replace(from, () => to);
  });
  const found = await fc.check(life(system), { seed: 1, numRuns: 100_000, endOnFailure: true });
  system.close();
  expect(mutated, 'functions that have the text to replace').toBeGreaterThan(0);
  expect(found.failed, 'whether a history was found that shows it').toBe(true);
});

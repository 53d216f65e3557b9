import fc from 'fast-check';
import { expect, it } from 'vitest';
import { afterFile } from '../support/clean-up.js';
import { faultRow, full } from '../support/fault-table.js';
import { startRedisServer } from '../support/redis-server.js';
import { life } from './life.js';
import { createSystem } from './system.js';

const server = await startRedisServer({ appendfsync: 'everysec' });
afterFile(server.stop);
const system = createSystem(server);
afterFile(system.close);

/** Histories that one seed draws. */
const perSeed = 1_000;
const given = process.env['MODEL_SEED'];
/** The same in each `npm test`; others each time at full size. */
const first = given === undefined ? (full ? Math.floor(Math.random() * 2 ** 31) : 1) : Number(given);
const seeds = Array.from({ length: full && given === undefined ? 100 : 1 }, (_, i) => first + i);

it('an OTP does what the model says, in every history', { timeout: 7_200_000 }, async () => {
  for (const seed of seeds) {
    const found = await fc.check(life(system), { seed, numRuns: perSeed });
    const replay = `MODEL_SEED=${seed} npx vitest run test/model/otp-life.test.ts`;
    if (found.failed)
      throw new Error(`${fc.defaultReportMessage(found)}\nTo see it again: ${replay}`, {
        cause: found.errorInstance,
      });
  }
  const { commands, calls, losses } = system.counts;
  faultRow(
    `${(seeds.length * perSeed).toLocaleString('en-US')} random histories of a few OTPs, compared with a model`,
    { commands, calls, lossesOfRedis: losses, differences: 0 },
    'S16',
  );
  expect(losses).toBeGreaterThan(0);
});

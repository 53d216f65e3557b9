import fc from 'fast-check';
import { policy } from '../support/otps.js';
import { anyBeginning, anyCommands, finish } from './commands.js';
import { newHistory } from './history.js';
import type { Rules } from './model.js';
import type { System } from './system.js';

const { retentionMs, sendLeaseMs, verifyLeaseMs } = policy;

const anyRules: fc.Arbitrary<Rules> = fc
  .record({
    maxResendsAfterUnknown: fc.constantFrom(1, 0, 2),
    durable: fc.constantFrom(false, false, true),
  })
  .map((rules) => ({ ...rules, retentionMs, sendLeaseMs, verifyLeaseMs, maxSendRetries: 1 }));

/** Whatever happens to OTPs, the gateway does what the model says. */
export function life(system: System) {
  return fc.asyncProperty(anyRules, anyBeginning, anyCommands, async (rules, beginning, commands) => {
    await system.begin(rules);
    const history = newHistory(rules, system.now());
    await fc.asyncModelRun(() => ({ model: history, real: system }), [...beginning, ...commands]);
    await finish(history, system);
  });
}

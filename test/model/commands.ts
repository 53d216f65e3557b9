import fc from 'fast-check';
import type { SendOutcome, VerifyOutcome } from '../../src/otp/outcome.js';
import { type Asked, admitCommand, cancelCommand, eraseCommand, resendCommand } from './admissions.js';
import type { Command } from './command.js';
import { agree, type History, never, observe, viewOf } from './history.js';
import { hasEnded } from './model.js';
import { callCommand, claimAgainCommand, deliverCommand, sendCommand, settleCommand } from './sends.js';
import {
  advanceCommand,
  crashRedisCommand,
  crashWorkerCommand,
  rotateCommand,
  spendBudgetCommand,
  sweepCommand,
  syncCommand,
} from './surroundings.js';
import type { System } from './system.js';
import { answerCommand, verifyCommand } from './verifications.js';

/** Most often the first: one OTP whose life goes on says more than several that only began. */
const which = fc.constantFrom(0, 0, 0, 0, 1, 2);
const anyAsked: fc.Arbitrary<Asked> = fc.record({
  sendDeadlineSeconds: fc.constantFrom(120, 40, 5),
  ttlSeconds: fc.constantFrom(300, 30),
  maxAttempts: fc.constantFrom(3, 2, 1),
});
const accepted = { kind: 'accepted', uuid: 'uuid', smsId: '' } as const;
const anyAnswer = fc.oneof(
  ...[
    { weight: 4, outcome: accepted },
    { weight: 3, outcome: { kind: 'unknown', reason: 'timeout' } },
    { weight: 1, outcome: { kind: 'unsent', reason: 'not_connected' } },
    { weight: 1, outcome: { kind: 'rejected', failure: 'invalid_number' } },
    { weight: 1, outcome: { kind: 'unrecognised', failure: 'rejected', text: 'Gagal' } },
    { weight: 1, outcome: { kind: 'account_trouble', trouble: 'insufficient_credits' } },
  ].map(({ weight, outcome }) => ({ weight, arbitrary: fc.constant(outcome as SendOutcome) })),
);
const anyOutcome = fc.constantFrom(
  ...(['correct', 'correct', 'incorrect', 'unsent', 'unavailable'] satisfies VerifyOutcome['kind'][]),
);
/** How a history begins: with an OTP that waits, or that was sent. */
export const anyBeginning: fc.Arbitrary<Command[]> = fc
  .tuple(anyAsked, fc.boolean())
  .map(([asked, isSent]) => [admitCommand(asked, null, true), ...(isSent ? [sendCommand(0, accepted)] : [])]);
/** Milliseconds. */
const anyStep = fc.constantFrom(
  ...[1, 1, 500, 1_000, 1_000, 2_000, 3_000, 3_000, 12_000, 12_000, 30_000, 120_000],
);

const some = (weight: number, arbitrary: fc.Arbitrary<Command>) => ({ weight, arbitrary });

/** Everything that may happen, and how often. */
export const anyCommands = fc.commands(
  [
    fc.oneof(
      some(
        2,
        fc.tuple(anyAsked, fc.constantFrom(null, 'a'), fc.boolean()).map((a) => admitCommand(...a)),
      ),
      some(
        8,
        fc.tuple(which, anyAnswer).map((a) => sendCommand(...a)),
      ),
      some(5, which.map(deliverCommand)),
      some(1, which.map(claimAgainCommand)),
      some(
        6,
        fc.tuple(which, anyAnswer).map((a) => callCommand(...a)),
      ),
      some(6, which.map(settleCommand)),
      some(1, fc.constant(crashWorkerCommand)),
      some(8, anyStep.map(advanceCommand)),
      some(4, fc.constant(syncCommand)),
      some(4, fc.constant(crashRedisCommand)),
      some(1, which.map(cancelCommand)),
      some(
        1,
        fc.tuple(anyAsked, fc.boolean()).map((a) => resendCommand(...a)),
      ),
      some(
        6,
        fc.tuple(which, fc.integer({ min: 1, max: 4 })).map((a) => verifyCommand(...a)),
      ),
      some(
        12,
        fc.tuple(which, anyOutcome, fc.constantFrom(1, 1, 2)).map((a) => answerCommand(...a)),
      ),
      some(1, fc.constant(eraseCommand)),
      some(1, fc.constant(rotateCommand)),
      some(1, fc.constant(spendBudgetCommand)),
      some(2, fc.constant(sweepCommand)),
    ),
  ],
  { maxCommands: 40, size: 'max' },
);

/** Lets all time pass: every OTP ends, and then nothing of it is kept. */
export async function finish(history: History, system: System): Promise<void> {
  await system.advance(600_000);
  await observe(history, system);
  for (const otp of history.memory.otps.keys()) {
    const view = viewOf(history, otp, system);
    never(`OTP ${otp} does not end`, view !== null && !hasEnded(view));
  }
  await system.advance(history.rules.retentionMs + 3_600_000);
  await observe(history, system);
  await system.expire();
  // Ids of OTPs that were not looked at go with the next sweep.
  await system.store.sendAttempts.sweep();
  // Sums over many OTPs are kept, and tell of none.
  const kept = (await system.kept()).filter(([key]) => !key.startsWith('isms:{conversion}:'));
  const beside = /:(history|(phone|superseded):[^:]+)$/;
  agree(
    'what is kept of OTPs past their time',
    kept.filter(([key]) => !beside.test(key)),
    [],
  );
  const forever = kept.filter(([key, expiresAt]) => expiresAt < 0 && !key.endsWith(':history'));
  agree('what is kept forever', forever, []);
}

import type { VerifyOutcome } from '../../src/otp/outcome.js';
import type { Verification } from '../../src/store/verification-attempts.js';
import { anyOtp, command, newToken, nth } from './command.js';
import { agree, type HeldVerification, type History, momentOf, never, viewOf } from './history.js';
import { admitAttempt, settleAttempt } from './model.js';
import type { System } from './system.js';

/** Someone types so many codes at the same time. */
export const verifyCommand = (n: number, count: number) =>
  command(`verify(${n}) ${count} times`, anyOtp(n), async (history, system, otp) => {
    const { store } = system;
    const facts = history.otps[otp];
    if (!facts) return;
    const verifications = Array.from({ length: count }, (): Verification => {
      return { app: 'shop', id: facts.id, token: newToken(history), replay: null };
    });
    const found = await Promise.all(verifications.map((each) => store.verificationAttempts.admit(each)));
    for (const [i, verification] of verifications.entries()) {
      const view = viewOf(history, otp, system);
      const expected = view
        ? admitAttempt(view, verification.token, momentOf(history, system, otp))
        : 'otp_not_found';
      agree(`verification of OTP ${otp}`, found[i]?.kind, expected);
      if (expected !== 'admitted' || !view) continue;
      history.memory.otps.set(otp, view);
      history.verifications.push({ otp, store, verification });
      facts.asked += 1;
      never(`OTP ${otp} is verified more often than allowed`, facts.asked > facts.maxAttempts);
    }
  });

/** iSMS has said what it thinks of a code, and that is written down: once, or again after a lost reply. */
export const answerCommand = (n: number, outcome: VerifyOutcome['kind'], times: number) =>
  command(
    `answer(${n}) ${outcome}${times > 1 ? `, ${times} times` : ''}`,
    ({ verifications }) => nth(verifications, n),
    async (history, system, one) => {
      history.verifications = history.verifications.filter((other) => other !== one);
      const facts = history.otps[one.otp];
      const answers = new Set<string>();
      for (let i = 0; i < times; i++) answers.add(await answerOnce(history, system, { ...one, outcome }));
      if (!facts || !answers.has('verified')) return;
      facts.approvals += 1;
      never(`OTP ${one.otp} lets someone in twice`, facts.approvals > 1);
    },
  );

async function answerOnce(
  history: History,
  system: System,
  { otp, store, verification, outcome }: HeldVerification & { outcome: VerifyOutcome['kind'] },
): Promise<string> {
  const { token } = verification;
  const found = await store.verificationAttempts.settle(verification, outcome);
  const known = history.memory.otps.get(otp);
  const before = known?.attempts ?? 0;
  const expected = known
    ? settleAttempt(known, { token, outcome }, momentOf(history, system, otp))
    : 'otp_not_found';
  agree(`answer to a verification of OTP ${otp}`, found.kind, expected);
  const facts = history.otps[otp];
  if (facts && known && known.attempts < before) facts.asked -= 1;
  return found.kind;
}

import type { SendOutcome } from '../../src/otp/outcome.js';
import { command, enqueueGraceMs, newToken, nth } from './command.js';
import { agree, type HeldClaim, type History, momentOf, never } from './history.js';
import { claim, settle, triesOf } from './model.js';
import type { System } from './system.js';

const anyJob = (n: number) => (history: History) => nth([...history.memory.jobs], n);

/** Whether it proves that no SMS went out, so that the OTP may be called for again. */
function isUnsent({ kind }: SendOutcome): boolean {
  return kind === 'unsent' || kind === 'account_trouble' || kind === 'unrecognised';
}

/** A worker asks for a claim on the OTP of a job, or again for one whose reply it did not get. */
async function claimFor(
  history: History,
  system: System,
  { otp, token }: { otp: number; token: string },
): Promise<HeldClaim | undefined> {
  const { memory, otps } = history;
  const { store } = system;
  const found = await store.sendAttempts.claim(otps[otp]?.id ?? '', token);
  const known = memory.otps.get(otp);
  agree(
    `claim of OTP ${otp}`,
    found.kind,
    known ? claim(known, token, momentOf(history, system, otp)) : 'missing',
  );
  if (found.kind === 'ended' || found.kind === 'missing') memory.jobs.delete(otp);
  if (found.kind !== 'claimed' || !known?.claim) return undefined;
  const { attempt, tries, resends } = found.claim;
  agree(`claim of OTP ${otp}`, [attempt, tries, resends], [known.claims, triesOf(known), known.unknowns]);
  const held = { known: structuredClone(known.claim), held: structuredClone(known) };
  const one = { otp, store, claim: found.claim, ...held, outcome: null, settled: false };
  otps[otp]?.doubtful.add(attempt);
  history.claims.push(one);
  return one;
}

/** A worker calls iSMS, which answers this if the call gets there. */
async function call(history: History, system: System, one: HeldClaim, answer: SendOutcome): Promise<void> {
  const facts = history.otps[one.otp];
  if (!facts) return;
  const outcome = answer.kind === 'accepted' ? { ...answer, smsId: String(one.claim.attempt) } : answer;
  if (history.budgetSpent) await system.spendRetryBudget();
  const came = await system.call(one.claim, outcome);
  one.outcome = came.outcome;
  const isFirst = facts.calls === 0 && facts.doubtful.size === 1;
  const isRefused = came.outcome.kind === 'unsent' && came.outcome.reason === 'retry_budget';
  never(`the first call of OTP ${one.otp} waits for other OTPs’ retries`, isRefused && isFirst);
  if (!came.reached) return;
  facts.calls += 1;
  system.counts.calls += 1;
  if (isUnsent(came.outcome)) return;
  facts.sends += 1;
  const { resends } = one.claim;
  never(`OTP ${one.otp} is sent ${facts.sends} times after ${resends} unknowns`, facts.sends > 1 + resends);
  never(
    `OTP ${one.otp} is sent more often than allowed`,
    facts.sends > 1 + history.rules.maxResendsAfterUnknown,
  );
}

/** A worker writes down how its call ended: for the first time, or again after a lost reply, or late. */
async function settleOne(history: History, system: System, one: HeldClaim): Promise<void> {
  const { otp, known, held, outcome } = one;
  const { memory, otps, rules } = history;
  if (!outcome) return;
  const settled = await one.store.sendAttempts.settle(one.claim, outcome);
  one.settled = true;
  const now = system.now();
  if (isUnsent(outcome) && now < known.endsAt) otps[otp]?.doubtful.delete(known.attempt);
  if (!memory.otps.has(otp) && now < known.at + rules.retentionMs && !memory.erased.has(otp)) {
    // Claims after this one may be lost with the record.
    memory.otps.set(otp, { ...structuredClone(held), losses: Math.min(held.losses, memory.losses - 1) });
    memory.missedFrom.set(otp, now + enqueueGraceMs);
  }
  const expected = memory.otps.get(otp);
  const claims = expected?.claims;
  if (expected) settle(expected, { claim: known, held, outcome }, momentOf(history, system, otp));
  if (expected?.claims !== claims) memory.missedFrom.set(otp, now + enqueueGraceMs);
  agree(
    `settling OTP ${otp}`,
    settled && [settled.otp.status, settled.tries],
    expected ? [expected.status, triesOf(expected)] : null,
  );
}

/** A worker gets a job, and claims its OTP. */
export const deliverCommand = (n: number) =>
  command(`deliver(${n})`, anyJob(n), async (history, system, otp) => {
    await claimFor(history, system, { otp, token: newToken(history) });
  });

const uncalled = (n: number) => (history: History) =>
  nth(
    history.claims.filter(({ outcome }) => outcome === null),
    n,
  );

/** The same claim arrives again, since its reply was lost. */
export const claimAgainCommand = (n: number) =>
  command(`claimAgain(${n})`, uncalled(n), async (history, system, one) => {
    history.claims = history.claims.filter((other) => other !== one);
    await claimFor(history, system, { otp: one.otp, token: one.claim.token });
  });

/** A worker calls iSMS. */
export const callCommand = (n: number, answer: SendOutcome) =>
  command(`call(${n}) → ${describe(answer)}`, uncalled(n), (history, system, one) =>
    call(history, system, one, answer),
  );

/** A worker writes down how a call ended. */
export const settleCommand = (n: number) => {
  const called = (history: History) =>
    nth(
      history.claims.filter(({ outcome }) => outcome !== null),
      n,
    );
  return command(`settle(${n})`, called, settleOne);
};

/** All three, with nothing in between. */
export const sendCommand = (n: number, answer: SendOutcome) =>
  command(`send(${n}) → ${describe(answer)}`, anyJob(n), async (history, system, otp) => {
    const one = await claimFor(history, system, { otp, token: newToken(history) });
    if (!one) return;
    await call(history, system, one, answer);
    await settleOne(history, system, one);
  });

function describe(outcome: SendOutcome): string {
  return 'reason' in outcome ? `${outcome.kind} (${outcome.reason})` : outcome.kind;
}

import { command, nothing } from './command.js';
import { agree, momentOf, never, viewOf } from './history.js';
import { dueAt, tick } from './model.js';

/** `appendfsync everysec` loses so much at most. */
const mostLostMs = 2_000;

/** A worker crashes with what it has in hand. */
export const crashWorkerCommand = command('crash of a worker', nothing, async (history, system) => {
  history.claims = history.claims.filter(({ settled }) => settled);
  system.restartWorker();
});

/** Time passes. */
export const advanceCommand = (ms: number) =>
  command(`advance(${ms})`, nothing, (_, system) => system.advance(ms));

/** Redis has all of it on its disk now. */
export const syncCommand = command('sync', nothing, async (history, system) => {
  await system.sync();
  history.synced = { memory: structuredClone(history.memory), at: system.now() };
});

/** Redis crashes; it comes back without what it had not synced, if that was not long ago. */
export const crashRedisCommand = command('crash of Redis', nothing, async (history, system) => {
  const { rules, synced, otps } = history;
  const loses = !rules.durable && system.now() - synced.at <= mostLostMs;
  await system.crashRedis(loses ? 'what was synced' : 'everything');
  if (loses) history.memory = structuredClone(synced.memory);
  if (!rules.durable) history.memory.losses += 1;
  if (!loses) return;
  system.counts.losses += 1;
  for (const [i, facts] of otps.entries()) {
    // A verification that Redis forgot may be made again (ADR 10).
    const known = history.memory.otps.get(i);
    facts.approvals = known?.verifiedBy == null ? 0 : 1;
    facts.asked = known?.attempts ?? 0;
  }
});

/** A process of the gateway starts with another encryption key in front. */
export const rotateCommand = command('rotate the encryption key', nothing, async (_, system) =>
  system.rotateKey(),
);

/** Other OTPs are sent again, as many as the retry budget allows. */
export const spendBudgetCommand = command(
  'other OTPs spend the retry budget from now on',
  nothing,
  async (history) => {
    history.budgetSpent = true;
  },
);

/** The sweeper's turn: it ends what the clock has ended, and adds missing jobs. */
export const sweepCommand = command('sweep', nothing, async (history, system) => {
  const { memory, otps } = history;
  const { queued, unreadable, failures } = await system.store.sendAttempts.sweep();
  agree('what a sweep could not read', [unreadable, failures], [[], []]);
  const found = new Set(queued.map(({ id }) => id));
  for (const [otp, known] of memory.otps) {
    if (dueAt(known) <= system.now()) tick(known, momentOf(history, system, otp));
    const id = otps[otp]?.id ?? '';
    const isMissed =
      viewOf(history, otp, system)?.status === 'queued' &&
      !memory.jobs.has(otp) &&
      (memory.missedFrom.get(otp) ?? 0) <= system.now();
    never(`a sweep overlooks that OTP ${otp} has no job`, isMissed && !found.has(id));
    if (found.has(id)) memory.jobs.add(otp);
  }
  const marks = queued.map(({ id, sendDeadline }) => ({ id, checkAt: sendDeadline }));
  await system.store.sendAttempts.markEnqueued(marks);
});

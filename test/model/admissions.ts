import { otpsOfNumber } from '../../src/api/routes/otps.js';
import { number, request } from '../support/otps.js';
import { anyOtp, command, enqueueGraceMs, nothing } from './command.js';
import { agree, type History, momentOf, viewOf } from './history.js';
import { admit, cancel } from './model.js';
import type { System } from './system.js';

/** What an app asks for. */
export interface Asked {
  sendDeadlineSeconds: number;
  ttlSeconds: number;
  maxAttempts: number;
}

interface Admission {
  asked: Asked;
  idempotencyKey?: string | null;
  replacesEarlier?: boolean;
}

/** Answers the OTP that was admitted now, or under the same key before. */
async function admitOne(
  history: History,
  system: System,
  { asked, idempotencyKey: key = null, replacesEarlier = false }: Admission,
): Promise<number> {
  const { memory, otps } = history;
  const idempotency = key === null ? null : { endpoint: 'POST /v1/otps', key, body: '{}' };
  const admission = await system.store.otps.admit(request({ ...asked, replacesEarlier }), idempotency);
  const before = memory.keys.get(key ?? '');
  const isReplay = before !== undefined && memory.otps.has(before);
  agree('admission', admission.kind, isReplay ? 'replayed' : 'created');
  if (!('otp' in admission)) throw new Error(admission.kind);
  const { id } = admission.otp;
  if (isReplay) {
    agree('replay', id, otps[before]?.id);
    return before;
  }
  const otp = note(history, system, { id, asked });
  if (key !== null) memory.keys.set(key, otp);
  if (replacesEarlier) {
    const before = memory.replaced.get(system.keyInFront) ?? [];
    memory.replaced.set(system.keyInFront, [...before, { by: otp, at: system.now() }]);
  }
  return otp;
}

function note(history: History, system: System, { id, asked }: { id: string; asked: Asked }): number {
  const { memory, otps } = history;
  const { keyInFront } = system;
  const { maxAttempts, sendDeadlineSeconds, ttlSeconds } = asked;
  const counts = { calls: 0, sends: 0, doubtful: new Set<number>(), asked: 0, approvals: 0 };
  const otp = otps.push({ id, keyInFront, maxAttempts, ...counts }) - 1;
  const known = { maxAttempts, sendDeadlineMs: sendDeadlineSeconds * 1_000, ttlMs: ttlSeconds * 1_000 };
  memory.otps.set(otp, admit(known, momentOf(history, system, otp)));
  memory.missedFrom.set(otp, system.now() + enqueueGraceMs);
  return otp;
}

/** An app asks for an OTP; whether its job is added, too, or its process ends before. */
export const admitCommand = (asked: Asked, idempotencyKey: string | null, isEnqueued: boolean) =>
  command(
    `admit(${JSON.stringify({ ...asked, idempotencyKey, isEnqueued })})`,
    nothing,
    async (history, system) => {
      const otp = await admitOne(history, system, { asked, idempotencyKey });
      if (isEnqueued) history.memory.jobs.add(otp);
    },
  );

/** An app asks for another OTP in place of the earlier ones; whether these are cancelled one by one, too. */
export const resendCommand = (asked: Asked, isFinished: boolean) =>
  command(
    `resend(${JSON.stringify({ ...asked, isFinished })})`,
    ({ otps }) => otps[0],
    async (history, system) => {
      const otp = await admitOne(history, system, { asked, replacesEarlier: true });
      history.memory.jobs.add(otp);
      if (!isFinished) return;
      const createdAt = history.memory.otps.get(otp)?.createdAt ?? 0;
      const found = await otpsOfNumber(system.store, { app: 'shop', to: number(), purpose: null });
      const earlier = found.filter((other) => other.createdAt < createdAt).map(({ id }) => id);
      for (const [i, { id }] of history.otps.entries())
        if (earlier.includes(id)) await cancelOne(history, system, i);
    },
  );

async function cancelOne(history: History, system: System, otp: number): Promise<void> {
  const found = await system.store.otps.cancel('shop', history.otps[otp]?.id ?? '');
  agree(`cancelling OTP ${otp}`, found, cancelInModel(history, system, otp));
}

function cancelInModel(history: History, system: System, otp: number): string {
  const view = viewOf(history, otp, system);
  if (!view) return 'otp_not_found';
  const before = view.status;
  const answer = cancel(view, system.now());
  // What has ended otherwise is not written anew.
  if (view.status !== before) history.memory.otps.set(otp, view);
  return answer;
}

/** An app cancels an OTP. */
export const cancelCommand = (n: number) => command(`cancel(${n})`, anyOtp(n), cancelOne);

/** An operator erases what is kept of the number. */
export const eraseCommand = command('erase', nothing, async (history, system) => {
  const { memory, otps } = history;
  const found = await system.store.dataSubjects.find(number());
  const expected = [...memory.otps.keys()].map((otp) => otps[otp]?.id ?? '');
  agree('what is kept of the number', found.map(({ id }) => id).sort(), expected.sort());
  await system.store.dataSubjects.erase(number(), found);
  for (const otp of memory.otps.keys()) memory.erased.add(otp);
  memory.otps.clear();
  memory.replaced.clear();
});

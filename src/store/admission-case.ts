import { z } from 'zod';
import { accountTroubles } from '../otp/outcome.js';
import { type Quota, type RangeRefusal, refuse, refuseByLimit } from '../otp/refusal.js';
import type { Admission, AdmissionOptions } from './admission.js';
import { type Candidate, callOf } from './admission-candidate.js';
import { rotateKey } from './keys.js';
import { newOtp, openRecord } from './record.js';
import { againAfterNewHistory, bySlot, loadScript } from './script.js';

/** An OTP that is being decided about, and what it has taken that must be given back if it is refused. */
export interface Case {
  candidate: Candidate;
  /** Missing until it is decided; an `Error` where it could not be. */
  admission?: Admission | Error;
  /** Whether its number was verified lately, so that the toll-fraud guard lets it pass. */
  exempt: boolean;
  rangeDecision?: RangeRefusal;
  quotas: Quota[];
  giveBack: (() => Promise<unknown>)[];
  /** Lets go of the idempotency key, unless an OTP was admitted under it after all. */
  releaseKey?: () => Promise<unknown>;
}

/** One step of an admission, for all cases that are still open. */
export type Step = (cases: Case[]) => Promise<void>;

/** Each on its own: where Redis fails one, the others go on. */
export async function each(
  cases: readonly Case[],
  work: (one: Case, place: number) => Promise<void>,
): Promise<void> {
  await Promise.all(
    cases.map((one, place) =>
      work(one, place).catch((error: Error) => {
        one.admission = error;
      }),
    ),
  );
}

/** Ends a case without a new OTP, and gives back what it took; losing that only makes limits a little stricter. */
export async function end(one: Case, admission: Admission): Promise<void> {
  one.admission = admission;
  const isRefused = admission.kind === 'refused';
  const back = one.releaseKey && isRefused ? [...one.giveBack, one.releaseKey] : one.giveBack;
  await Promise.all(back.map((give) => give().catch(() => {})));
}

export function refused(...refusal: Parameters<typeof refuse>): Extract<Admission, { kind: 'refused' }> {
  return { kind: 'refused', refusal: refuse(...refusal) };
}

/** What is known under older encryption keys counts for these OTPs, too. */
export function rotateKeys({ redis }: AdmissionOptions): Step {
  return (cases) =>
    each(
      cases.filter(({ candidate }) => candidate.hashed.length > 0),
      ({ candidate }) => rotateKey(redis, candidate.hashed),
    );
}

/** Calls `lua/otp/admit.lua`: once, on a cluster once for each partition. With `peek`, it writes nothing. */
export function loadAdmit(options: AdmissionOptions, { peek = false } = {}) {
  const script = loadScript(options.redis, 'otp/admit', options.policy);
  const ask = againAfterNewHistory<Candidate>(options, async (candidates) => {
    const { scriptKeys, args } = callOf(options, candidates, peek);
    return (await script(scriptKeys, args)) as unknown[];
  });
  return bySlot(options.redis, ask);
}

const decision = z.enum(['', 'slowed', 'blocked', 'capped']);
const quotasReply = z.array(z.tuple([z.string(), z.number(), z.number(), z.number(), z.number()]));
const admitReply = z.union([
  // When it was admitted, where there is nothing more to say.
  z.number(),
  z.tuple([z.literal('admitted'), z.number(), decision, quotasReply]),
  z.tuple([z.enum(['known', 'replayed']), z.string()]),
  z.tuple([z.literal('paused'), z.enum([...accountTroubles, 'operator'])]),
  z.tuple([z.literal('limited'), z.enum(['phone', 'app', 'client_ip']), z.number(), quotasReply]),
  z.tuple([z.literal('blocked'), z.number(), decision, z.enum(['slowed', 'blocked', 'capped'])]),
  z.tuple([z.enum(['key_reused', 'key_in_flight', 'phone_locked', 'overloaded'])]),
]);

/** What `lua/otp/admit.lua` answered. Throws if it failed, or answered with a record that cannot be opened. */
export function admissionOf(
  { encrypter }: AdmissionOptions,
  candidate: Candidate,
  answer: unknown,
): Admission {
  if (answer instanceof Error) throw answer;
  const reply = admitReply.parse(answer);
  if (typeof reply === 'number') return created(candidate, reply, []);
  switch (reply[0]) {
    case 'admitted': {
      const [, createdAt, decided, quotas] = reply;
      return Object.assign(created(candidate, createdAt, quotas.map(toQuota)), decidedAbout(decided));
    }
    case 'known':
    case 'replayed':
      return { kind: 'replayed', otp: openRecord(encrypter, reply[1]) };
    case 'paused':
      return refused('sending_paused', { reason: reply[1] });
    case 'limited': {
      const [, by, retryAfterMs, quotas] = reply;
      return { kind: 'refused', refusal: refuseByLimit(by, { retryAfterMs, quotas: quotas.map(toQuota) }) };
    }
    case 'blocked': {
      const [, retryAfterMs, decided, reason] = reply;
      return { ...refused('range_blocked', { reason, retryAfterMs }), ...decidedAbout(decided) };
    }
    case 'overloaded':
      return { kind: 'refused', refusal: candidate.asked.overload ?? refuse('overloaded') };
    case 'key_reused':
      return refused('idempotency_key_reused');
    case 'key_in_flight':
      return refused('idempotency_in_flight');
    case 'phone_locked':
      return refused('phone_locked');
  }
}

function decidedAbout(decided: z.output<typeof decision>): { rangeDecision?: RangeRefusal } {
  return decided === '' ? {} : { rangeDecision: decided };
}

function toQuota([name, quota, windowMs, remaining, resetMs]: z.output<typeof quotasReply>[number]): Quota {
  return { name, quota, windowMs, remaining, resetMs };
}

function created({ id, asked }: Candidate, createdAt: number, quotas: Quota[]) {
  const inBatch = asked.reserved?.batch !== undefined;
  const startAt = asked.reserved?.startAt ?? null;
  const otp = newOtp(id, asked.request, { createdAt, inBatch, startAt });
  return { kind: 'created' as const, otp, quotas };
}

import { z } from 'zod';
import { redisScript } from '../lib/redis-script.js';
import { budgetPeriods } from '../otp/budget.js';
import { accountTroubles } from '../otp/outcome.js';
import { limitedBy, type Quota, type RangeDecision, refuse, refuseByLimit } from '../otp/refusal.js';
import type { Admission, AdmissionOptions } from './admission.js';
import { type Candidate, callOf } from './admission-candidate.js';
import type { Budget } from './budgets.js';
import { copyToCurrentKey } from './keys.js';
import { guardReply } from './number-ranges.js';
import { newOtp, openRecord } from './record.js';
import { bySlot, json, luaSource, retryAfterHistoryChange } from './script.js';

/** An OTP under decision, and what it took that must be returned if it is refused. */
export interface Case {
  candidate: Candidate;
  /** Missing until it is decided; an `Error` where it could not be. */
  admission?: Admission | Error;
  /** Whether its number was verified lately, so that the toll-fraud guard lets it pass. */
  exempt: boolean;
  rangeDecision?: RangeDecision;
  quotas: Quota[];
  giveBack: (() => Promise<unknown>)[];
  /** Releases the idempotency key. */
  releaseKey?: () => Promise<unknown>;
}

/** One step of an admission, for all cases that are still open. */
export type Step = (cases: Case[]) => Promise<void>;

/** Works on each case; an error of one does not affect the others. */
export async function forEachCase(
  cases: readonly Case[],
  work: (one: Case, index: number) => Promise<void>,
): Promise<void> {
  await Promise.all(
    cases.map((one, index) =>
      work(one, index).catch((error: Error) => {
        one.admission = error;
      }),
    ),
  );
}

/** Closes a case without a new OTP, and returns what it took; losing that only makes limits a little stricter. */
export async function closeCase(one: Case, admission: Admission): Promise<void> {
  one.admission = admission;
  const isRefused = admission.kind === 'refused';
  const back = one.releaseKey && isRefused ? [...one.giveBack, one.releaseKey] : one.giveBack;
  await Promise.all(back.map((give) => give().catch(() => {})));
}

export function refusedByBudget(budget: Budget | undefined) {
  const retryAfterMs = budget && Math.max(1, budget.endsAt - Date.now());
  const reason = budget && `${budget.period}_budget`;
  return refused('app_budget_exceeded', { ...(reason && { reason }), ...(retryAfterMs && { retryAfterMs }) });
}

export function refused(...refusal: Parameters<typeof refuse>): Extract<Admission, { kind: 'refused' }> {
  return { kind: 'refused', refusal: refuse(...refusal) };
}

/** Makes values under older encryption keys count for these OTPs, too. */
export function rotateKeys({ redis }: AdmissionOptions): Step {
  return (cases) =>
    forEachCase(
      cases.filter(({ candidate }) => candidate.hashed.length > 0),
      ({ candidate }) => copyToCurrentKey(redis, candidate.hashed),
    );
}

/** Calls `lua/otp/admit.lua`: once, on a cluster once for each partition. With `peek`, it writes nothing. */
export function loadAdmit(options: AdmissionOptions, { peek = false } = {}) {
  const source = luaSource('otp/admit', options.policy);
  const script = redisScript(options.redis.isCluster ? source : options.addJobFunction + source);
  const ask = retryAfterHistoryChange<Candidate>(options, async (candidates) => {
    const { scriptKeys, args } = callOf(options, candidates, peek);
    return (await script(options.redis, scriptKeys, args)) as unknown[];
  });
  return bySlot(options.redis, ask);
}

const { decision } = guardReply.shape;
const quota = z.object({
  name: z.string(),
  quota: z.number(),
  windowMs: z.number(),
  remaining: z.number(),
  resetMs: z.number(),
});
const quotas = z.array(quota).default([]);
const admitReply = json(
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('admitted'), createdAt: z.number(), decision, quotas }),
    z.object({ kind: z.literal('replayed'), record: z.string() }),
    /** To a peek. */
    z.object({ kind: z.literal('free'), exempt: z.boolean() }),
    z.object({ kind: z.literal('paused'), reason: z.enum([...accountTroubles, 'operator']) }),
    z.object({
      kind: z.literal('limited'),
      by: z.enum(limitedBy),
      /** Of the limit key. */
      keyKind: z.string().optional(),
      retryAfterMs: z.number(),
      quotas,
    }),
    guardReply.extend({ kind: z.literal('range_blocked') }),
    z.object({ kind: z.literal('over_budget'), period: z.enum(budgetPeriods) }),
    z.object({ kind: z.enum(['key_reused', 'recipient_locked', 'app_paused', 'refused']) }),
  ]),
);

type AdmitReply = z.output<typeof admitReply>;

/** Parses a reply of `lua/otp/admit.lua`. Throws if it failed. */
export function parseReply(answer: unknown): AdmitReply {
  if (answer instanceof Error) throw answer;
  if (typeof answer === 'number') return { kind: 'admitted', createdAt: answer, decision: '', quotas: [] };
  return admitReply.parse(answer);
}

/** The result of a request. Throws for a record that cannot be opened. */
export function admissionOf(
  { encrypter }: AdmissionOptions,
  { id, budgets, asked: { request, reserved, refuseWith } }: Candidate,
  reply: AdmitReply,
): Admission {
  switch (reply.kind) {
    case 'admitted': {
      const { createdAt, quotas, decision } = reply;
      const inBatch = reserved?.batch !== undefined;
      const otp = newOtp(id, request, { createdAt, inBatch, startAt: reserved?.startAt ?? null });
      const created = { kind: 'created' as const, otp, quotas };
      return decision === '' ? created : { ...created, rangeDecision: decision };
    }
    case 'replayed':
      return { kind: 'replayed', otp: openRecord(encrypter, reply.record) };
    case 'free':
      throw new Error('admit.lua answered a peek');
    case 'paused':
      return refused('sending_paused', { reason: reply.reason });
    case 'limited':
      return { kind: 'refused', refusal: refuseByLimit(reply.by, { ...reply, kind: reply.keyKind }) };
    case 'range_blocked':
      return refusedByGuard(reply);
    case 'over_budget':
      return refusedByBudget(budgets?.find(({ period }) => period === reply.period));
    case 'refused':
      return { kind: 'refused', refusal: refuseWith ?? refuse('overloaded') };
    case 'key_reused':
      return refused('idempotency_key_reused');
    case 'recipient_locked':
    case 'app_paused':
      return refused(reply.kind);
  }
}

export function refusedByGuard({ decision, waitMs, reason }: z.output<typeof guardReply>): Admission {
  const refusal = refused('range_blocked', { reason, retryAfterMs: waitMs });
  return decision === '' ? refusal : { ...refusal, rangeDecision: decision };
}

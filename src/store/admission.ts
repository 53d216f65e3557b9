import { z } from 'zod';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { accountTroubles } from '../otp/outcome.js';
import { type Quota, type RangeRefusal, type Refusal, refuse, refuseByLimit } from '../otp/refusal.js';
import { type Candidate, callOf, candidateOf, type Decide } from './admission-candidate.js';
import { decideOnCluster } from './admission-on-cluster.js';
import type { Encrypter } from './encryption.js';
import { rotateKey } from './keys.js';
import type { NumberRanges } from './number-ranges.js';
import { newOtp, recordSchema, toOtp } from './record.js';
import { againAfterNewHistory, loadScript, type RecordScripts } from './script.js';

/** Result of a request for an OTP, from the store to the answer. */
export type Admission =
  | { kind: 'created'; otp: Otp; quotas: Quota[]; rangeDecision?: RangeRefusal }
  /** Created earlier: by a request with the same idempotency key, or under the same reserved id. */
  | { kind: 'replayed'; otp: Otp }
  /** `rangeDecision`: what the fraud guard decided about the number's range because of this request. */
  | { kind: 'refused'; refusal: Refusal; rangeDecision?: RangeRefusal };

/** Decides about OTPs, in one call to Redis; an `Error` stands where one could not be decided. */
export type AdmitMany = (requests: readonly AdmissionRequest[]) => Promise<(Admission | Error)[]>;

const text = z.string();
const decided = z.enum(['', 'slowed', 'blocked', 'capped']);
const quotasReply = z.array(z.tuple([text, z.number(), z.number(), z.number(), z.number()]));
const reply = z.union([
  // When it was admitted, where there is nothing more to say.
  z.number(),
  z.tuple([z.literal('admitted'), z.number(), decided, quotasReply]),
  z.tuple([z.enum(['known', 'replayed']), text]),
  z.tuple([z.literal('paused'), z.enum([...accountTroubles, 'operator'])]),
  z.tuple([z.literal('limited'), z.enum(['phone', 'app', 'client_ip']), z.number(), quotasReply]),
  z.tuple([z.literal('blocked'), z.number(), decided, z.enum(['slowed', 'blocked', 'capped'])]),
  z.tuple([z.enum(['key_reused', 'key_in_flight', 'phone_locked', 'overloaded'])]),
]);

/** Decides everything about new OTPs: in one call to Redis (`lua/otp/admit.lua`), or slot by slot on a cluster. */
export function createAdmission(options: AdmissionOptions): AdmitMany {
  const decide = options.redis.isCluster ? decideOnCluster(options) : decideInOneCall(options);
  return async (requests) => {
    const decided = await decide(requests.map((each) => candidateOf(options, each)));
    return decided.map(({ candidate, answer }) => {
      try {
        return answer instanceof Error
          ? answer
          : toAdmission(options.encrypter, candidate, reply.parse(answer));
      } catch (error) {
        // One record that cannot be opened must not take the others' answers with it.
        return error as Error;
      }
    });
  };
}

function decideInOneCall(options: AdmissionOptions): Decide {
  const script = loadScript(options.redis, 'otp/admit', options.policy);
  const ask = againAfterNewHistory<Candidate>(options, async (candidates) => {
    const { scriptKeys, args } = callOf(options, candidates);
    return (await script(scriptKeys, args)) as unknown[];
  });
  return async (candidates) => {
    await rotateKey(
      options.redis,
      candidates.flatMap(({ hashed }) => hashed),
    );
    const answers = await ask(candidates);
    return candidates.map((candidate, i) => ({ candidate, answer: answers[i] }));
  };
}

function toAdmission(
  encrypter: Encrypter,
  { id, asked: { request, reserved, overload } }: Candidate,
  answer: z.output<typeof reply>,
): Admission {
  const refused = (...refusal: Parameters<typeof refuse>): Admission => ({
    kind: 'refused',
    refusal: refuse(...refusal),
  });
  const created = (createdAt: number, quotas: Quota[]): Extract<Admission, { kind: 'created' }> => ({
    kind: 'created',
    otp: newOtp(id, request, { createdAt, inBatch: reserved?.batch !== undefined }),
    quotas,
  });
  if (typeof answer === 'number') return created(answer, []);
  switch (answer[0]) {
    case 'admitted': {
      const [, createdAt, decision, quotas] = answer;
      return { ...created(createdAt, quotas.map(toQuota)), ...decidedAbout(decision) };
    }
    case 'known':
    case 'replayed':
      return { kind: 'replayed', otp: toOtp(encrypter, recordSchema.parse(JSON.parse(answer[1]))) };
    case 'paused':
      return refused('sending_paused', { reason: answer[1] });
    case 'limited': {
      const [, by, retryAfterMs, quotas] = answer;
      return { kind: 'refused', refusal: refuseByLimit(by, { retryAfterMs, quotas: quotas.map(toQuota) }) };
    }
    case 'blocked': {
      const [, retryAfterMs, decision, reason] = answer;
      return { ...refused('range_blocked', { reason, retryAfterMs }), ...decidedAbout(decision) };
    }
    case 'overloaded':
      return { kind: 'refused', refusal: overload ?? refuse('overloaded') };
    case 'key_reused':
      return refused('idempotency_key_reused');
    case 'key_in_flight':
      return refused('idempotency_in_flight');
    case 'phone_locked':
      return refused('phone_locked');
  }
}

function decidedAbout(decision: z.output<typeof decided>): { rangeDecision?: RangeRefusal } {
  return decision === '' ? {} : { rangeDecision: decision };
}

function toQuota([name, quota, windowMs, remaining, resetMs]: z.output<typeof quotasReply>[number]): Quota {
  return { name, quota, windowMs, remaining, resetMs };
}

/** An app's idempotency key, and the request body it must come with again. */
export interface Idempotency {
  endpoint: string;
  key: string;
  body: string;
}

/** One OTP to decide about. */
export interface AdmissionRequest {
  request: OtpRequest;
  idempotency?: Idempotency | null;
  /** Refuses a new OTP with this; one that was created earlier is still answered. */
  overload?: Refusal | null;
  /** Whether to tell what is left of the limits. */
  quotas?: boolean;
  /** The id that was reserved for it, its number's keyed hash, and the batch of which it is a line. */
  reserved?: { id: string; phone: string; batch?: string };
}

/** What admission decides with. */
export interface AdmissionOptions extends RecordScripts {
  encrypter: Encrypter;
  /** The hashes whose field `paused` BullMQ sets while an operator pauses a send queue. */
  operatorPauseKeys: readonly string[];
  ranges: Pick<NumberRanges, 'guarded' | 'note'>;
}

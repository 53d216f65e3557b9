import { z } from 'zod';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { type AccountTrouble, accountTroubles } from '../otp/outcome.js';
import { type Candidate, callOf, candidateOf, type Decide } from './admission-candidate.js';
import { decideOnCluster } from './admission-on-cluster.js';
import type { Encrypter } from './encryption.js';
import { rotateKey } from './keys.js';
import type { NumberRanges, RangeRefusal } from './number-ranges.js';
import { newOtp, recordSchema, toOtp } from './record.js';
import { againAfterNewHistory, loadScript, type RecordScripts } from './script.js';

/** What the toll-fraud guard decided about a number range with this very OTP. */
interface RangeDecision {
  decision: RangeRefusal;
  range: string;
}

/** Which limit refused an OTP. */
export type LimitKind = 'phone' | 'app' | 'client_ip';

/** The result of a request for an OTP. */
export type Admission =
  /** `again`: this very OTP was admitted before. */
  | { kind: 'admitted'; otp: Otp; again: boolean; quotas: Quota[]; ranges: RangeDecision[] }
  | { kind: 'replayed'; otp: Otp }
  | { kind: 'key_reused' }
  | { kind: 'paused'; reason: AccountTrouble | 'operator' }
  | { kind: 'limited'; by: LimitKind; retryAfterMs: number; quotas: Quota[] }
  | { kind: 'range_blocked'; reason: RangeRefusal; retryAfterMs: number; ranges: RangeDecision[] }
  | { kind: 'phone_locked' | 'overloaded' }
  /** On a Redis Cluster: another request with this idempotency key is just being admitted. */
  | { kind: 'key_in_flight' };

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
  { id, asked: { request, reserved } }: Candidate,
  answer: z.output<typeof reply>,
): Admission {
  const open = (raw: string) => toOtp(encrypter, recordSchema.parse(JSON.parse(raw)));
  const ranges = (decision: z.output<typeof decided>) =>
    decision === '' ? [] : [{ decision, range: request.to.range }];
  const inBatch = reserved?.batch !== undefined;
  if (typeof answer === 'number') {
    return {
      kind: 'admitted',
      again: false,
      otp: newOtp(id, request, { createdAt: answer, inBatch }),
      quotas: [],
      ranges: [],
    };
  }
  switch (answer[0]) {
    case 'admitted': {
      const [kind, createdAt, decision, quotas] = answer;
      const otp = newOtp(id, request, { createdAt, inBatch });
      return { kind, otp, again: false, quotas: quotas.map(toQuota), ranges: ranges(decision) };
    }
    case 'known':
      return { kind: 'admitted', otp: open(answer[1]), again: true, quotas: [], ranges: [] };
    case 'replayed':
      return { kind: 'replayed', otp: open(answer[1]) };
    case 'paused':
      return { kind: 'paused', reason: answer[1] };
    case 'limited':
      return { kind: 'limited', by: answer[1], retryAfterMs: answer[2], quotas: answer[3].map(toQuota) };
    case 'blocked':
      return { kind: 'range_blocked', retryAfterMs: answer[1], ranges: ranges(answer[2]), reason: answer[3] };
    default:
      return { kind: answer[0] };
  }
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

/** What is left of one limit: `remaining` of `quota` in `windowMs`; more in `resetMs`. */
export interface Quota {
  name: string;
  quota: number;
  windowMs: number;
  remaining: number;
  resetMs: number;
}

/** One OTP to decide about. */
export interface AdmissionRequest {
  request: OtpRequest;
  idempotency?: Idempotency | null;
  /** Only what was admitted before is answered. */
  overloaded?: boolean;
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

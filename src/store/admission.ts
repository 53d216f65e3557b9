import type { Otp, OtpRequest } from '../otp/otp.js';
import { type Quota, type RangeDecision, type Refusal, refuse } from '../otp/refusal.js';
import { candidateOf } from './admission-candidate.js';
import {
  admissionOf,
  type Case,
  closeCase,
  forEachCase,
  loadAdmit,
  parseReply,
  rotateKeys,
  type Step,
} from './admission-case.js';
import { stepsOnCluster } from './admission-on-cluster.js';
import type { KeyedHashes } from './encryption.js';
import type { NumberLists } from './number-lists.js';
import type { NumberRanges } from './number-ranges.js';
import { createListAppender } from './otp-list.js';
import { loadScript, longestLifeMs, longestStartMs, type RecordScriptOptions } from './script.js';

/** Result of a request for an OTP, from the store to the answer. */
export type Admission =
  | { kind: 'created'; otp: Otp; quotas: Quota[]; rangeDecision?: RangeDecision }
  /** Created earlier: by a request with the same idempotency key, or under the same reserved id. */
  | { kind: 'replayed'; otp: Otp }
  /** `rangeDecision`: what the fraud guard decided about the number's range because of this request. */
  | { kind: 'refused'; refusal: Refusal; rangeDecision?: RangeDecision };

/**
 * One call to Redis decides everything about new OTPs (`lua/otp/admit.lua`). On a Redis Cluster, where a call reaches one
 * slot, it decides what belongs to their numbers, after steps for what lies in other slots. An `Error` stands where one
 * OTP could not be decided.
 */
export function createAdmission(options: AdmissionOptions) {
  const before = options.redis.isCluster ? stepsOnCluster(options) : [rotateKeys(options)];
  const steps = [...before, decide(options)];
  const { numberLists } = options;
  return async (requests: readonly AdmissionRequest[]) => {
    await numberLists.refresh();
    const cases = requests.map((asked): Case => {
      const isDenied = numberLists.listOf(asked.request.app, asked.request.to) === 'deny';
      const decided = isDenied ? { ...asked, refuseWith: refuse('recipient_denied') } : asked;
      return { candidate: candidateOf(options, decided), exempt: false, quotas: [], giveBack: [] };
    });
    for (const step of steps) {
      const open = cases.filter(({ admission }) => admission === undefined);
      if (open.length > 0) await step(open);
    }
    return cases.map(({ admission }) => admission ?? new Error('no answer'));
  };
}

function decide(options: AdmissionOptions): Step {
  const { redis, policy } = options;
  const admit = loadAdmit(options);
  const keepReference = redis.isCluster ? loadScript(redis, 'otp/reference#keep') : null;
  const appendToLists = redis.isCluster ? createListAppender(redis) : null;
  return async (cases) => {
    const answers = await admit(cases.map(({ candidate }) => candidate));
    await forEachCase(cases, async (one, index) => {
      // After an error it is not known whether the OTP was admitted, so nothing is given back.
      const admission = admissionOf(options, one.candidate, parseReply(answers[index]));
      if (admission.kind !== 'created') return await closeCase(one, admission);
      admission.quotas.push(...one.quotas);
      if (one.rangeDecision) admission.rangeDecision = one.rangeDecision;
      one.admission = admission;
      const { id, facts, keys } = one.candidate;
      if (!keepReference || keys.reference === null) return;
      // A reference that is not kept only makes the OTP harder to find.
      await keepReference([keys.reference], [id, longestLifeMs(facts, policy)]).catch(() => {});
    });
    const livesMs = ({ startAt, ...facts }: Case['candidate']['facts']) =>
      longestLifeMs(facts, policy) + (startAt === undefined ? 0 : 2 * longestStartMs);
    appendToLists?.(
      cases.flatMap(({ admission, candidate }) =>
        admission && 'kind' in admission && admission.kind === 'created'
          ? [{ otp: admission.otp, reserved: candidate.asked.reserved, livesMs: livesMs(candidate.facts) }]
          : [],
      ),
    );
  };
}

/** An app's idempotency key, and the request body it must come with again. */
export interface Idempotency {
  endpoint: string;
  key: string;
  body: string;
}

/** Keys and arguments of `addJobFunction` for the OTP with this id. */
type JobOf = (id: string) => { keys: readonly string[]; args: readonly (string | Buffer)[] };

/** One OTP to decide about. */
export interface AdmissionRequest {
  request: OtpRequest;
  idempotency?: Idempotency | null;
  /** Refuses a new OTP with this; one that was created earlier is still answered. */
  refuseWith?: Refusal | null;
  /** Whether to tell what is left of the limits. */
  quotas?: boolean;
  /** How its job is added in the same step; without, the caller adds it. Not on a cluster. */
  jobOf?: JobOf | null;
  /**
   * The id that was reserved for it, its number's keyed hashes where they are known, the batch of which it is a line,
   * counted from 0, and when that starts: its deadline counts from then, in ms since 1970.
   */
  reserved?:
    | { id: string; phones?: KeyedHashes; batch?: string; line?: number; startAt?: number | null }
    | undefined;
}

/** What admission decides with. */
export interface AdmissionOptions extends RecordScriptOptions {
  /** The hashes whose field `paused` BullMQ sets while an operator pauses a send queue. */
  operatorPauseKeys: readonly string[];
  ranges: Pick<NumberRanges, 'guarded' | 'note'>;
  numberLists: Pick<NumberLists, 'refresh' | 'listOf'>;
  /** The Lua function `add_job`, for `jobOf`. */
  addJobFunction: string;
}

import { z } from 'zod';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { type AccountTrouble, accountTroubles } from '../otp/outcome.js';
import { keys, newOtpId, partitionOf, partitionOfId } from './keys.js';
import type { NumberRanges } from './number-ranges.js';
import { newOtp, recordSchema, sealRequest, toOtp } from './record.js';
import { againAfterNewHistory, loadRecordSource, loadScript, type RecordScripts } from './script.js';
import type { Sealer } from './sealing.js';

/** The newest OTPs of one reference that are kept findable by it. */
export const referencesKept = 100;

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

/** What the toll-fraud guard decided about a number range with this very OTP. */
export interface RangeDecision {
  decision: 'slowed' | 'blocked' | 'capped';
  range: string;
}

/** Which limit refused an OTP. */
export type LimitKind = 'phone' | 'app' | 'client_ip';

/** What became of a request for an OTP. */
export type Admission =
  | { kind: 'admitted'; otp: Otp; quotas: Quota[]; ranges: RangeDecision[] }
  | { kind: 'replayed'; otp: Otp }
  | { kind: 'key_reused' }
  | { kind: 'paused'; reason: AccountTrouble | 'operator' }
  | { kind: 'limited'; by: LimitKind; retryAfterMs: number; quotas: Quota[] }
  | { kind: 'range_blocked'; retryAfterMs: number; ranges: RangeDecision[] }
  | { kind: 'phone_locked' | 'overloaded' };

/** One OTP to decide about. */
export interface AdmissionRequest {
  request: OtpRequest;
  idempotency?: Idempotency | null;
  /** Only what was admitted before is answered. */
  overloaded?: boolean;
  /** Whether to tell what is left of the limits. */
  quotas?: boolean;
  /** The line of an upload that it is: the batch, and the id that was reserved for it. */
  line?: { batch: string; id: string; phone: string };
}

/** Decides about OTPs, in one call to Redis; an `Error` stands where one could not be decided. */
export type AdmitMany = (requests: readonly AdmissionRequest[]) => Promise<(Admission | Error)[]>;

/** What admission decides with. */
export interface AdmissionOptions extends RecordScripts {
  sealer: Sealer;
  /** The hashes whose field `paused` BullMQ sets while an operator pauses a send queue. */
  operatorPauseKeys: readonly string[];
  ranges: Pick<NumberRanges, 'guarded' | 'note'>;
}

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
  z.tuple([z.literal('blocked'), z.number(), decided]),
  z.tuple([z.enum(['key_reused', 'phone_locked', 'overloaded'])]),
]);

/** An OTP to be, with all that the Lua function needs to decide about it. */
interface Candidate {
  /** Of the record; `args` hold its text. */
  key: string;
  args: [string];
  id: string;
  request: OtpRequest;
  /** What is the same for every call. */
  facts: object;
  /** Keys of limits and indexes that it counts in; those of limits that are off are left out. */
  keys: {
    appWindow: string | null;
    clientIp: string | null;
    range: string | null;
    reference: string | null;
    idempotency: readonly string[];
  };
}

/** Decides everything about new OTPs in one call to Redis (`lua/admit.lua`). */
export function createAdmission(options: AdmissionOptions): AdmitMany {
  const script = loadScript(
    options.redis,
    loadRecordSource(options.policy, 'admit', ['phone', 'limits', 'range']),
  );
  const decide = againAfterNewHistory<Candidate>(options, async (candidates) => {
    const { scriptKeys, args } = callOf(options, candidates);
    return (await script(scriptKeys, args)) as unknown[];
  });
  return async (requests) => {
    const candidates = requests.map((each) => candidateOf(options, each));
    const answers = await decide(candidates);
    return candidates.map((candidate, i) => {
      const answer = answers[i];
      return answer instanceof Error ? answer : toAdmission(options.sealer, candidate, reply.parse(answer));
    });
  };
}

function candidateOf(options: AdmissionOptions, admission: AdmissionRequest): Candidate {
  const { sealer, ranges } = options;
  const { request, idempotency = null, line } = admission;
  const { app, to, credits, ttlSeconds, maxAttempts } = request;
  const phone = line?.phone ?? sealer.hashes('phone number', to.e164)[0];
  const id = line?.id ?? newOtpId(partitionOf(phone));
  const range = ranges.guarded(app, to);
  const idempotencyKeys = idempotency ? idempotencyKeysOf(sealer, app, idempotency) : [];
  const record = {
    id,
    app,
    phone,
    credits,
    ttlSeconds,
    maxAttempts,
    batch: line?.batch,
    idempotencyKey: idempotencyKeys[0],
    sealed: sealRequest(sealer, id, request),
  };
  return {
    id,
    request,
    key: keys.record(partitionOfId(id) ?? '', id),
    args: [openEnded(record)],
    keys: { ...countedKeys(options, request), range: range?.key ?? null, idempotency: idempotencyKeys },
    facts: {
      app,
      phone,
      ttlMs: ttlSeconds * 1_000,
      sendWithinMs: request.sendWithinSeconds * 1_000,
      batch: line?.batch,
      rangeName: range?.name,
      fingerprints: idempotency ? sealer.hashes('request body', idempotency.body) : undefined,
      overloaded: admission.overloaded,
      quotas: admission.quotas,
    },
  };
}

function idempotencyKeysOf(sealer: Sealer, app: string, { endpoint, key }: Idempotency): string[] {
  return sealer.hashes('idempotency key', `${app}\n${endpoint}\n${key}`).map(keys.idempotency);
}

function countedKeys({ sealer, policy }: AdmissionOptions, { app, clientIp, reference }: OtpRequest) {
  const hash = (purpose: string, value: string) => sealer.hashes(purpose, `${app}\n${value}`)[0];
  const limitsClients = clientIp !== null && policy.clientIpPer10Minutes > 0;
  return {
    appWindow: policy.appPerSecond > 0 ? keys.appWindow(app) : null,
    clientIp: limitsClients ? keys.clientIpWindow(hash('client address', clientIp)) : null,
    reference: reference === null ? null : keys.reference(hash('reference', reference)),
  };
}

/** A JSON object without its closing brace: the Lua function adds what it decides. */
function openEnded(record: object): string {
  return JSON.stringify(record).slice(0, -1);
}

/** Keys and arguments of one call: keys beside the records are told by their place. */
function callOf({ operatorPauseKeys }: AdmissionOptions, candidates: readonly Candidate[]) {
  const scriptKeys = candidates.map(({ key }) => key);
  const placed = new Map<string, number>();
  const place = (key: string): number => {
    // Lua counts from 1, so the new length is the place.
    const at = placed.get(key) ?? scriptKeys.push(key);
    placed.set(key, at);
    return at;
  };
  const placeOf = (key: string | null) => (key === null ? undefined : place(key));
  const items = candidates.map(({ facts, keys: { appWindow, clientIp, range, reference, idempotency } }) => ({
    ...facts,
    appWindow: placeOf(appWindow),
    clientIp: placeOf(clientIp),
    range: placeOf(range),
    reference: placeOf(reference),
    idempotency: idempotency.length > 0 ? idempotency.map(place) : undefined,
  }));
  const call = {
    pause: place(keys.pause),
    operatorPauses: operatorPauseKeys.map(place),
    ranges: place(keys.ranges),
    referencesKept,
    items,
  };
  return { scriptKeys, args: [JSON.stringify(call), ...candidates.map(({ args: [record] }) => record)] };
}

function toAdmission(sealer: Sealer, { id, request }: Candidate, answer: z.output<typeof reply>): Admission {
  const open = (raw: string) => toOtp(sealer, recordSchema.parse(JSON.parse(raw)));
  const ranges = (decision: z.output<typeof decided>) =>
    decision === '' ? [] : [{ decision, range: request.to.range }];
  if (typeof answer === 'number') {
    return { kind: 'admitted', otp: newOtp(id, request, answer), quotas: [], ranges: [] };
  }
  switch (answer[0]) {
    case 'admitted': {
      const [kind, createdAt, decision, quotas] = answer;
      const otp = newOtp(id, request, createdAt);
      return { kind, otp, quotas: quotas.map(toQuota), ranges: ranges(decision) };
    }
    case 'known':
      return { kind: 'admitted', otp: open(answer[1]), quotas: [], ranges: [] };
    case 'replayed':
      return { kind: 'replayed', otp: open(answer[1]) };
    case 'paused':
      return { kind: 'paused', reason: answer[1] };
    case 'limited':
      return { kind: 'limited', by: answer[1], retryAfterMs: answer[2], quotas: answer[3].map(toQuota) };
    case 'blocked':
      return { kind: 'range_blocked', retryAfterMs: answer[1], ranges: ranges(answer[2]) };
    default:
      return { kind: answer[0] };
  }
}

function toQuota([name, quota, windowMs, remaining, resetMs]: z.output<typeof quotasReply>[number]): Quota {
  return { name, quota, windowMs, remaining, resetMs };
}

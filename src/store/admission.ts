import { z } from 'zod';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { type AccountTrouble, accountTroubles } from '../otp/outcome.js';
import { keys, newOtpId, partitionOf, recordKeys } from './keys.js';
import type { NumberRanges } from './number-ranges.js';
import { recordSchema, sealRequest, toOtp } from './record.js';
import { loadRecordScript, type RecordScripts } from './script.js';
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

/** What admission decides with. */
export interface AdmissionOptions extends RecordScripts {
  sealer: Sealer;
  /** The hash whose field `paused` BullMQ sets while an operator pauses the send queue. */
  operatorPauseKey: string;
  ranges: Pick<NumberRanges, 'guarded' | 'note'>;
}

const text = z.string();
const decided = z.enum(['', 'slowed', 'blocked', 'capped']);
const reply = z.union([
  z.tuple([z.literal('admitted'), text, text, decided]),
  z.tuple([z.literal('replayed'), text]),
  z.tuple([z.literal('paused'), z.enum([...accountTroubles, 'operator'])]),
  z.tuple([z.literal('limited'), z.enum(['phone', 'app', 'client_ip']), z.number(), text]),
  z.tuple([z.literal('blocked'), z.number(), decided]),
  z.tuple([z.enum(['key_reused', 'phone_locked', 'overloaded'])]),
]);
const quotasReply = z.union([
  z.array(z.tuple([text, z.number(), z.number(), z.number(), z.number()])),
  // An empty list is an empty object in Redis's JSON.
  z.strictObject({}).transform(() => []),
]);

/** Decides everything about a new OTP in one call to Redis (`lua/admit.lua`). */
export function createAdmission(options: AdmissionOptions) {
  const { sealer } = options;
  const script = loadRecordScript(options, 'admit', ['phone', 'limits', 'range']);
  return async (
    request: OtpRequest,
    idempotency: Idempotency | null,
    overloaded = false,
  ): Promise<Admission> => {
    const [phone] = sealer.hashes('phone number', request.to.e164);
    const partition = partitionOf(phone);
    const id = newOtpId(partition);
    const { app, credits, ttlSeconds, maxAttempts } = request;
    const sealed = sealRequest(sealer, id, request);
    const record = { id, app, phone, credits, ttlSeconds, maxAttempts, sealed };
    const { scriptKeys, at, range } = placeKeys(options, { request, idempotency, partition, id });
    const settings = {
      at,
      overloaded,
      fingerprints: idempotency ? sealer.hashes('request body', idempotency.body) : [],
      range,
      sendWithinMs: request.sendWithinSeconds * 1_000,
      referencesKept,
    };
    const answer = await script(scriptKeys, [JSON.stringify(record), JSON.stringify(settings)]);
    return toAdmission(sealer, reply.parse(answer), request.to.range);
  };
}

/** Every key of the call, and at which place those stand that only some calls have. */
function placeKeys(
  { sealer, operatorPauseKey, ranges }: AdmissionOptions,
  call: { request: OtpRequest; idempotency: Idempotency | null; partition: string; id: string },
) {
  const { request, idempotency, partition, id } = call;
  const { app, to, clientIp, reference } = request;
  const scriptKeys: string[] = recordKeys(partition, id);
  /** Lua counts from 1, so the new length is the place. */
  const place = (key: string) => scriptKeys.push(key);
  const hash = (purpose: string, value: string) => sealer.hashes(purpose, `${app}\n${value}`)[0];
  const guarded = ranges.guarded(app, to);
  const idempotencyHashes = idempotency
    ? sealer.hashes('idempotency key', `${app}\n${idempotency.endpoint}\n${idempotency.key}`)
    : [];
  const at = {
    pause: place(keys.pause),
    operatorPause: place(operatorPauseKey),
    app: place(keys.appWindow(app)),
    ...(clientIp !== null && {
      clientIp: place(keys.clientIpWindow(hash('client address', clientIp))),
    }),
    ...(guarded && { range: place(guarded.key), ranges: place(keys.ranges) }),
    ...(reference !== null && { reference: place(keys.reference(hash('reference', reference))) }),
    idempotency: idempotencyHashes.map((key) => place(keys.idempotency(key))),
  };
  return { scriptKeys, at, range: guarded?.name ?? '' };
}

function toAdmission(sealer: Sealer, answer: z.output<typeof reply>, range: string): Admission {
  const open = (raw: string) => toOtp(sealer, recordSchema.parse(JSON.parse(raw)));
  const ranges = (decision: z.output<typeof decided>) => (decision === '' ? [] : [{ decision, range }]);
  switch (answer[0]) {
    case 'admitted':
      return {
        kind: 'admitted',
        otp: open(answer[1]),
        quotas: toQuotas(answer[2]),
        ranges: ranges(answer[3]),
      };
    case 'replayed':
      return { kind: 'replayed', otp: open(answer[1]) };
    case 'paused':
      return { kind: 'paused', reason: answer[1] };
    case 'limited':
      return { kind: 'limited', by: answer[1], retryAfterMs: answer[2], quotas: toQuotas(answer[3]) };
    case 'blocked':
      return { kind: 'range_blocked', retryAfterMs: answer[1], ranges: ranges(answer[2]) };
    default:
      return { kind: answer[0] };
  }
}

function toQuotas(raw: string): Quota[] {
  return quotasReply
    .parse(JSON.parse(raw))
    .map(([name, quota, windowMs, remaining, resetMs]) => ({ name, quota, windowMs, remaining, resetMs }));
}

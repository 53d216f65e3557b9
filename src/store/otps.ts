import { z } from 'zod';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { type AccountTrouble, accountTroubles } from '../otp/outcome.js';
import { keys, newOtpId, partitionOf, partitionOfId, recordKeys } from './keys.js';
import { type OtpRecord, recordSchema, sealRequest, toOtp } from './record.js';
import { loadRecordScript, type RecordScripts } from './script.js';
import type { Sealer } from './sealing.js';

/** The newest OTPs of one reference that are kept findable by it. */
const referencesKept = 100;

/** An app's idempotency key, and the request body it must come with again. */
export interface Idempotency {
  endpoint: string;
  key: string;
  body: string;
}

export type Admission =
  | { kind: 'admitted' | 'replayed'; otp: Otp }
  | { kind: 'key_reused' }
  | { kind: 'paused'; reason: AccountTrouble | 'operator' };

/** OTPs from the app's side: asked for, looked up, cancelled. */
export interface Otps {
  /** Decides everything about a new OTP in one step and writes its record; enqueueing is the caller's. */
  admit(request: OtpRequest, idempotency: Idempotency | null): Promise<Admission>;
  /** The OTP as the clock has it now; null when there is none of this app under that id. */
  find(app: string, id: string): Promise<Otp | null>;
  /** The newest first, at most 100. */
  findByReference(app: string, reference: string): Promise<Otp[]>;
  /** Once cancelled, nothing revives it. One that ended otherwise stays as it is. */
  cancel(app: string, id: string): Promise<'cancelled' | 'already_verified' | 'otp_not_found'>;
}

const pauseReason = z.enum([...accountTroubles, 'operator']);
const replySchema = z.tuple([z.string()]).rest(z.string());

export interface RecordStoreOptions extends RecordScripts {
  sealer: Sealer;
}

/** `operatorPauseKey`: the hash whose field `paused` BullMQ sets while an operator pauses the send queue. */
export function createOtps(options: RecordStoreOptions & { operatorPauseKey: string }): Otps {
  const { redis, sealer, operatorPauseKey } = options;
  const scripts = {
    admit: loadRecordScript(options, 'admit'),
    read: loadRecordScript(options, 'read'),
    cancel: loadRecordScript(options, 'cancel'),
  };

  const read = async (id: string): Promise<OtpRecord | null> => {
    const partition = partitionOfId(id);
    if (!partition) return null;
    const raw = await scripts.read(recordKeys(partition, id), []);
    return typeof raw === 'string' ? recordSchema.parse(JSON.parse(raw)) : null;
  };
  const find = async (app: string, id: string): Promise<Otp | null> => {
    const record = await read(id);
    return record?.app === app ? toOtp(sealer, record) : null;
  };
  const referenceHashes = (app: string, reference: string) =>
    sealer.hashes('reference', `${app}\n${reference}`);

  return {
    find,
    admit: async (request, idempotency) => {
      const partition = partitionOf(sealer.hash('phone number', request.to.e164));
      const id = newOtpId(partition);
      const { app, credits, ttlSeconds, maxAttempts } = request;
      const record = { id, app, credits, ttlSeconds, maxAttempts, sealed: sealRequest(sealer, id, request) };
      const { idempotencyKeys, fingerprints } = hashIdempotency(sealer, app, idempotency);
      const scriptKeys = [...recordKeys(partition, id), keys.pause, operatorPauseKey, ...idempotencyKeys];
      if (request.reference !== null) {
        scriptKeys.push(keys.reference(referenceHashes(app, request.reference)[0]));
      }
      const settings = {
        fingerprints,
        sendWithinMs: request.sendWithinSeconds * 1_000,
        referencesKept: request.reference === null ? 0 : referencesKept,
      };
      const reply = await scripts.admit(scriptKeys, [JSON.stringify(record), JSON.stringify(settings)]);
      return toAdmission(sealer, replySchema.parse(reply));
    },
    findByReference: async (app, reference) => {
      const indexes = referenceHashes(app, reference).map(keys.reference);
      const ids = await Promise.all(indexes.map((key) => redis.zrevrange(key, 0, -1)));
      const found = await Promise.all(
        ids
          .flat()
          .slice(0, referencesKept)
          .map((id) => find(app, id)),
      );
      return found.filter((otp) => otp !== null);
    },
    cancel: async (app, id) => {
      const partition = partitionOfId(id);
      if (!partition) return 'otp_not_found';
      const reply = await scripts.cancel(recordKeys(partition, id), [app]);
      return z.enum(['cancelled', 'already_verified', 'otp_not_found']).parse(replySchema.parse(reply)[0]);
    },
  };
}

function hashIdempotency(sealer: Sealer, app: string, idempotency: Idempotency | null) {
  if (!idempotency) return { idempotencyKeys: [], fingerprints: [] };
  const { endpoint, key, body } = idempotency;
  return {
    idempotencyKeys: sealer.hashes('idempotency key', `${app}\n${endpoint}\n${key}`).map(keys.idempotency),
    fingerprints: sealer.hashes('request body', body),
  };
}

function toAdmission(sealer: Sealer, [kind, detail]: [string, ...string[]]): Admission {
  switch (kind) {
    case 'admitted':
    case 'replayed':
      return { kind, otp: toOtp(sealer, recordSchema.parse(JSON.parse(detail ?? ''))) };
    case 'key_reused':
      return { kind };
    default:
      return { kind: 'paused', reason: pauseReason.parse(detail) };
  }
}

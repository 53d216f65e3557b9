import { z } from 'zod';
import { createBatcher } from '../lib/batcher.js';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { partitionOfId } from '../otp/otp-id.js';
import {
  type Admission,
  type AdmissionOptions,
  type AdmissionRequest,
  type AdmitMany,
  createAdmission,
  type Idempotency,
} from './admission.js';
import { keys } from './keys.js';
import { type OtpRecord, recordSchema, toOtp } from './record.js';
import { loadRecordScript, singleRecordLimits } from './script.js';

/** OTPs from the app's side: asked for, looked up, cancelled. */
export interface Otps {
  /**
   * Decides about a new OTP and writes its record, in one step, or a few on a cluster (ADR 20).
   * `overload` refuses a new OTP; one that was created earlier is still answered. With `jobOf`, a new OTP has its job at
   * once. Rejects for trouble with Redis or a record.
   */
  admit(
    request: OtpRequest,
    idempotency: Idempotency | null,
    more?: Pick<AdmissionRequest, 'overload' | 'jobOf'>,
  ): Promise<Admission>;
  /** The same for many at once, in their order; enqueueing is the caller's. */
  admitMany: AdmitMany;
  /** The OTP as the clock has it now; null when there is none of this app under that id. */
  find(app: string, id: string): Promise<Otp | null>;
  /** The same for any app: for operators. */
  findOfAnyApp(id: string): Promise<Otp | null>;
  /** The newest first, at most 100. */
  findByReference(app: string, reference: string): Promise<Otp[]>;
  /** Once cancelled, nothing revives it. One that ended otherwise stays as it is. */
  cancel(app: string, id: string): Promise<'cancelled' | 'already_verified' | 'otp_not_found'>;
}

/** As many of one reference as Redis keeps under one encryption key. */
const mostFound = 100;

const cancelReply = z.tuple([
  z.enum(['cancelled', 'already_verified', 'otp_not_found']),
  z.string().optional(),
]);

const readReply = z.tuple([z.string().optional()]);

/** OTPs in Redis, from the app's side. */
export function createOtps(options: AdmissionOptions): Otps {
  const { redis, encrypter, ranges } = options;
  const scripts = {
    read: loadRecordScript(options, 'otp/otps#read'),
    cancel: loadRecordScript(options, 'otp/otps#cancel'),
  };

  const read = async (id: string): Promise<OtpRecord | null> => {
    const partition = partitionOfId(id);
    if (!partition) return null;
    const [raw] = readReply.parse(await scripts.read(keys.record(partition, id), []));
    return raw === undefined ? null : recordSchema.parse(JSON.parse(raw));
  };
  const find = async (app: string, id: string): Promise<Otp | null> => {
    const record = await read(id);
    return record?.app === app ? toOtp(encrypter, record) : null;
  };
  const admitMany = createAdmission(options);
  // On a cluster, one whose master is unavailable would delay those gathered with it.
  const admitOne = redis.isCluster
    ? async (asked: AdmissionRequest) => (await admitMany([asked]))[0] ?? new Error('no answer')
    : createBatcher(admitMany, singleRecordLimits);
  const referenceHashes = (app: string, reference: string) =>
    encrypter.hashes('reference', `${app}\n${reference}`);

  return {
    find,
    findOfAnyApp: async (id) => {
      const record = await read(id);
      return record && toOtp(encrypter, record);
    },
    admitMany,
    admit: async (request, idempotency, { overload = null, jobOf = null } = {}) => {
      const admission = await admitOne({ request, idempotency, overload, jobOf, quotas: true });
      if (admission instanceof Error) throw admission;
      return admission;
    },
    findByReference: async (app, reference) => {
      const indexes = referenceHashes(app, reference).map(keys.reference);
      const ids = await Promise.all(indexes.map((key) => redis.zrevrange(key, 0, -1)));
      const found = await Promise.all(
        ids
          .flat()
          .slice(0, mostFound)
          .map((id) => find(app, id)),
      );
      return found.filter((otp) => otp !== null);
    },
    cancel: async (app, id) => {
      const partition = partitionOfId(id);
      if (!partition) return 'otp_not_found';
      const reply = await scripts.cancel(keys.record(partition, id), [app]);
      const [kind, raw] = cancelReply.parse(reply);
      const record = raw === undefined ? null : recordSchema.parse(JSON.parse(raw));
      if (record?.claims === 0) void ranges.note(toOtp(encrypter, record), 'unsent');
      return kind;
    },
  };
}

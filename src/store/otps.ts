import { z } from 'zod';
import { createBatcher } from '../lib/batcher.js';
import type { Otp, OtpRequest } from '../otp/otp.js';
import { partitionOfId } from '../otp/otp-id.js';
import {
  type AdmissionOptions,
  type AdmissionRequest,
  createAdmission,
  type Idempotency,
} from './admission.js';
import { keys } from './keys.js';
import { historyOf } from './otp-history.js';
import { createOtpList } from './otp-list.js';
import { type OtpRecord, recordSchema, toOtp } from './record.js';
import { loadRecordScript, requestLimits } from './script.js';

/** OTPs from the app's side: asked for, looked up, cancelled. */
export type Otps = ReturnType<typeof createOtps>;

/** As many of one reference as Redis keeps under one encryption key. */
const mostFound = 100;

const cancelReply = z.tuple([
  z.enum(['cancelled', 'already_verified', 'otp_not_found']),
  z.string().optional(),
]);

const readReply = z.tuple([z.string().optional()]);

/** OTPs in Redis, from the app's side. */
export function createOtps(options: AdmissionOptions & Parameters<typeof createOtpList>[0]) {
  const { redis, encrypter, ranges } = options;
  const readScript = loadRecordScript(options, 'otp/otps#read');
  const cancelScript = loadRecordScript(options, 'otp/otps#cancel');
  const readRaw = async (id: string): Promise<string | undefined> => {
    const partition = partitionOfId(id);
    return partition ? readReply.parse(await readScript(keys.record(partition, id), []))[0] : undefined;
  };
  const read = async (id: string): Promise<OtpRecord | null> => {
    const raw = await readRaw(id);
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
    : createBatcher(admitMany, requestLimits);

  return {
    /** The OTP as the clock has it now; null when there is none of this app under that id. */
    find,
    /** The same for any app: for operators. */
    findOfAnyApp: async (id: string) => {
      const record = await read(id);
      return record && toOtp(encrypter, record);
    },
    /** The same with the steps of its life and its batch. */
    findWithHistory: async (id: string) => {
      const raw = await readRaw(id);
      if (raw === undefined) return null;
      const parsed: unknown = JSON.parse(raw);
      const record = recordSchema.parse(parsed);
      const history = historyOf(parsed, options.policy.verifyLeaseMs);
      return { otp: toOtp(encrypter, record), batch: record.batch ?? null, history };
    },
    /**
     * Decides about a new OTP and writes its record, in one step, or a few on a cluster (ADR 20).
     * `refuseWith` refuses a new OTP; one that was created earlier is still answered. With `jobOf`, a new OTP has its job
     * at once. Rejects for trouble with Redis or a record.
     */
    admit: async (
      request: OtpRequest,
      idempotency: Idempotency | null,
      { refuseWith = null, jobOf = null }: Pick<AdmissionRequest, 'refuseWith' | 'jobOf'> = {},
    ) => {
      const admission = await admitOne({ request, idempotency, refuseWith, jobOf, quotas: true });
      if (admission instanceof Error) throw admission;
      return admission;
    },
    /** The same for many at once, in their order; enqueueing is the caller's. */
    admitMany,
    ...createOtpList(options),
    /** The newest first, at most 100. */
    findByReference: async (app: string, reference: string) => {
      const indexes = encrypter.hashes('reference', `${app}\n${reference}`).map(keys.reference);
      const ids = await Promise.all(indexes.map((key) => redis.zrevrange(key, 0, -1)));
      const found = await Promise.all(
        ids
          .flat()
          .slice(0, mostFound)
          .map((id) => find(app, id)),
      );
      return found.filter((otp) => otp !== null);
    },
    /** Once cancelled, nothing revives it. One that ended otherwise stays as it is. */
    cancel: async (app: string, id: string) => {
      const partition = partitionOfId(id);
      if (!partition) return 'otp_not_found';
      const reply = await cancelScript(keys.record(partition, id), [app]);
      const [kind, raw] = cancelReply.parse(reply);
      const record = raw === undefined ? null : recordSchema.parse(JSON.parse(raw));
      if (record?.claims === 0) void ranges.note(toOtp(encrypter, record), 'unsent');
      return kind;
    },
  };
}

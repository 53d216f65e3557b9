import { z } from 'zod';
import { type FailureCode, type Otp, statuses } from '../otp/otp.js';
import { partitionOfId, partitions } from '../otp/otp-id.js';
import { type SendOutcome, spendsRetry } from '../otp/outcome.js';
import type { Conversion } from './conversion.js';
import { MissingEncryptionKey } from './encryption.js';
import { keys } from './keys.js';
import type { NumberRanges } from './number-ranges.js';
import {
  failureCodes,
  type OtpFacts,
  type OtpRecord,
  openRecord,
  plainFields,
  recordSchema,
  toOtp,
} from './record.js';
import { json, loadListScript, loadRecordScript, type RecordScriptOptions, tryOr } from './script.js';

/** Records of one partition that a sweep checks in one call. */
const sweepBatch = 200;

interface Claimed {
  id: string;
  token: string;
  /** Counts the OTP's claims, from 1. */
  attempt: number;
  /**
   * Retries and resends that the OTP has used before this attempt. A claim that made no call uses none, and one that
   * Redis may have forgotten is only presumed: the call after it is a first call (ADR 35).
   */
  tries: number;
  /** Resends after an attempt whose outcome is unknown, or that Redis may have forgotten. */
  resends: number;
  claimedAt: number;
  /** How long the attempt may be under way, in ms from `claimedAt`. */
  leaseMs: number;
  /** An earlier unrecognised refusal, with which the OTP ends if it is final. */
  refusal: EarlierRefusal | null;
  record: string;
}

/** An unrecognised refusal, and when the calls of the last one and of the first one were claimed. */
export interface EarlierRefusal {
  failure: FailureCode;
  claimedAt: number;
  firstAt: number;
}

/** A claim on an OTP's next send: who holds it, which attempt it is, and the record it was given. */
export type SendClaim = Claimed & { otp: Otp };

type ClaimResult = { kind: 'claimed'; claim: SendClaim } | Unclaimed;

/** An OTP that ended; without its number if no encryption key opens it. */
type EndedOtp = OtpFacts & Partial<Pick<Otp, 'to'>>;

/** Why an OTP cannot be claimed. */
export type Unclaimed =
  /** Another attempt may be calling the provider, or a resend must wait until its unknown outcome is durable. */
  | { kind: 'in_flight'; remainingMs: number }
  /** `now`: this call ended it. */
  | { kind: 'ended'; otp: EndedOtp; now: boolean }
  /** `unreadable`: the record is broken, and no worker can send it. */
  | { kind: 'missing' | 'unreadable' };

/** The OTP after an attempt. */
export interface SettledSend {
  otp: Otp;
  /** Retries and resends the OTP has used so far. */
  tries: number;
  /** Milliseconds until its send deadline. */
  sendDeadlineInMs: number;
  /** Whether this changed the status: one that had ended meanwhile stays as it is. */
  changed: boolean;
}

/** OTPs from the worker's side: no call to the provider without a durable claim. */
export type SendAttempts = ReturnType<typeof createSendAttempts>;

const claimReply = z.union([
  z.tuple([z.literal('free')]),
  z.tuple([z.literal('missing')]),
  z.tuple([z.literal('unreadable')]),
  z.tuple([z.literal('claimed'), z.string()]),
  z.tuple([z.literal('ended'), z.string(), z.number()]),
  z.tuple([z.literal('in_flight'), z.string(), z.number()]),
]);
const failure = z.enum(failureCodes).nullable().default(null);
const text = z.string().nullable().default(null);
const time = z.number().nullable().default(null);
const settleReply = json(
  z.discriminatedUnion('kind', [
    z.object({ kind: z.enum(['missing', 'needs_record']) }),
    z.object({
      kind: z.literal('settled'),
      otp: z.object({
        status: z.enum(statuses),
        failure,
        uuid: text,
        smsId: text,
        sentAt: time,
        expiresAt: time,
      }),
      tries: z.number(),
      sendDeadlineInMs: z.number(),
      changed: z.boolean(),
    }),
  ]),
);
const sweepReply = z.tuple([
  z.array(z.tuple([z.string(), z.string()])),
  z.array(z.string()),
  z.array(z.string()),
]);

function claimOf(record: OtpRecord, claim: Pick<Claimed, 'id' | 'token' | 'leaseMs' | 'record'>): Claimed {
  const { claims, claimedAt = 0, retries, unknowns, presumed } = record;
  const { refusal: failure, refusedAt, firstRefusedAt } = record;
  const tries = retries + unknowns - presumed;
  const refusal =
    failure && refusedAt ? { failure, claimedAt: refusedAt, firstAt: firstRefusedAt ?? refusedAt } : null;
  return Object.assign(claim, { attempt: claims, tries, resends: unknowns, claimedAt, refusal });
}

export function createSendAttempts(
  options: RecordScriptOptions & { ranges: Pick<NumberRanges, 'note'>; conversion: Pick<Conversion, 'note'> },
) {
  const { redis, encrypter, ranges, conversion } = options;
  const leaseMs = options.policy.sendLeaseMs;
  const claimScript = loadRecordScript(options, 'otp/claim');
  const settleScript = loadRecordScript(options, 'otp/settle');
  // One partition a call: a sweep of all in one would hold others up.
  const sweepScript = loadRecordScript(options, 'otp/sweep', { most: 1, inFlight: 2 });
  const markEnqueuedScript = loadListScript(redis, 'otp/otps#mark-enqueued');
  const tryParse = (raw: string) => tryOr(() => recordSchema.parse(JSON.parse(raw)), null);

  /** The id alone of a record that is broken, or that no encryption key opens: it must not hide the others. */
  const tryOpen = ([id, raw]: [string, string]) => tryOr(() => openRecord(encrypter, raw), id);

  /** The plain fields alone of a record that no encryption key opens. */
  const openEnded = (record: OtpRecord): EndedOtp =>
    tryOr(() => toOtp(encrypter, record), plainFields(record));

  /** The id alone of a record that is broken. */
  const tryOpenEnded = (raw: string): EndedOtp | string => {
    const record = tryParse(raw);
    return record ? openEnded(record) : z.object({ id: z.string() }).parse(JSON.parse(raw)).id;
  };

  const settle = async (claim: Claimed, outcome: SendOutcome) => {
    const { id, token, attempt, claimedAt, record } = claim;
    const usesRetry = outcome.kind === 'unsent' && spendsRetry(outcome.reason);
    const args = [
      JSON.stringify({ token, attempt, claimedAt }),
      JSON.stringify({ ...outcome, spendsRetry: usesRetry }),
    ];
    const call = async (claimedRecord: string) =>
      settleReply.parse(await settleScript(keys.recordOfId(id), [...args, claimedRecord]));
    const reply = await call('');
    // settle.lua asks for the claimed record only if Redis lost it or the claim.
    return reply.kind === 'needs_record' ? await call(record) : reply;
  };

  const openClaimed = async (claim: Claimed, record: OtpRecord): Promise<ClaimResult> => {
    try {
      return { kind: 'claimed', claim: Object.assign(claim, { otp: toOtp(encrypter, record) }) };
    } catch (error) {
      // Nothing was called: a worker whose ENCRYPTION_KEYS does not fit must not use the OTP up.
      await settle(claim, { kind: 'unsent', reason: 'stale_claim' });
      if (error instanceof MissingEncryptionKey) throw error;
      return { kind: 'unreadable' };
    }
  };

  const unexpected = (): never => {
    throw new Error("claim.lua replied 'free' to a claim, or 'claimed' to a peek");
  };
  const askToClaim = async (id: string, token: string): Promise<ClaimResult | null> => {
    const partition = partitionOfId(id);
    if (!partition) return { kind: 'missing' };
    const [kind, raw, detail] = claimReply.parse(await claimScript(keys.record(partition, id), [token]));
    if (kind === 'free') return null;
    if (kind === 'missing' || kind === 'unreadable') return { kind };
    if (kind === 'in_flight') return { kind, remainingMs: detail };
    const record = tryParse(raw);
    if (!record) return { kind: 'unreadable' };
    if (kind === 'ended') return { kind, otp: openEnded(record), now: detail === 1 };
    return await openClaimed(claimOf(record, { id, token, leaseMs, record: raw }), record);
  };

  return {
    /** Repeating a claim with the same token is safe; `token` must be new for each attempt. */
    claim: async (id: string, token: string) => (await askToClaim(id, token)) ?? unexpected(),
    /** Why an OTP cannot be claimed, without claiming it; null: it can. */
    peek: async (id: string) => {
      const found = await askToClaim(id, '');
      return found?.kind === 'claimed' ? unexpected() : found;
    },
    /** Safe to repeat. Null when the record was erased or its retention is over. */
    settle: async (claim: SendClaim, outcome: SendOutcome) => {
      const reply = await settle(claim, outcome);
      if (reply.kind !== 'settled') return null;
      const { tries, sendDeadlineInMs, changed } = reply;
      const otp = { ...claim.otp, ...reply.otp };
      if (outcome.kind === 'accepted') void ranges.note(otp, 'sent');
      // An outcome that is recorded again is the same SMS.
      if (changed && otp.status === 'sent') void conversion.note(otp, 'sent');
      if (otp.status === 'failed') void ranges.note(otp, 'unsent');
      return { otp, tries, sendDeadlineInMs, changed };
    },
    /** Ends OTPs of all partitions whose time is over, and finds those whose job may be missing. */
    sweep: async () => {
      const replies = await Promise.allSettled(
        partitions.map((partition) => sweepScript(keys.due(partition), [sweepBatch])),
      );
      const swept = replies.flatMap((reply) =>
        reply.status === 'fulfilled' ? [sweepReply.parse(reply.value)] : [],
      );
      const queued = swept.flatMap(([raws]) => raws.map(tryOpen));
      const ended = swept.flatMap(([, , raws]) => raws.map(tryOpenEnded));
      return {
        /** OTPs that the clock ended without a known SMS. */
        ended: ended.filter((otp) => typeof otp !== 'string'),
        /** OTPs whose job may be missing. */
        queued: queued.filter((otp) => typeof otp !== 'string'),
        /** Ids of OTPs whose record is broken, or that no encryption key opens. */
        unreadable: [
          ...swept.flatMap(([, ids]) => ids),
          ...[...queued, ...ended].filter((otp) => typeof otp === 'string'),
        ],
        /** Why some partitions could not be swept. */
        failures: replies.flatMap((reply): unknown[] => (reply.status === 'rejected' ? [reply.reason] : [])),
      };
    },
    /** Postpones the sweeper's next check of queued OTPs, which have a job now, to `checkAt`. */
    markEnqueued: async (otps: readonly { id: string; checkAt: number }[]) => {
      if (otps.length === 0) return;
      const byPartition = Map.groupBy(otps, ({ id }) => partitionOfId(id) ?? '');
      const calls = [...byPartition].map(([partition, ofPartition]) => {
        const members = ofPartition.flatMap(({ id, checkAt }) => [String(checkAt), id]);
        return { key: keys.due(partition), args: [JSON.stringify(members)] };
      });
      const failed = (await markEnqueuedScript(calls)).find((answer) => answer instanceof Error);
      if (failed) throw failed;
    },
  };
}

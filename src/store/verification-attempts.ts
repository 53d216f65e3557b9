import { z } from 'zod';
import { type Otp, statuses } from '../otp/otp.js';
import { partitionOfId } from '../otp/otp-id.js';
import type { VerifyOutcome } from '../otp/outcome.js';
import type { Conversion } from './conversion.js';
import { keys } from './keys.js';
import type { NumberRanges } from './number-ranges.js';
import { openRecord } from './record.js';
import { json, loadRecordScript, type RecordScriptOptions, requestLimits } from './script.js';

const refusal = z.enum([
  'otp_not_found',
  'not_sent',
  'already_verified',
  'otp_cancelled',
  'attempts_exhausted',
  'not_verifiable',
  'otp_expired',
  'verification_in_progress',
  'recipient_locked',
]);

/** Why no attempt was admitted, or why a right code no longer counts: the contract's problem codes. */
type VerificationRefusal = z.output<typeof refusal>;

/** Which verification: of whose OTP, and under which idempotency key with which code and binding, if any. */
export interface Verification {
  app: string;
  id: string;
  /** Unique to this call. */
  token: string;
  replay: { key: string; code: string; binding?: string | undefined } | null;
}

const admitReply = z.tuple([z.string(), z.string().optional()]);
const settleReply = json(
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('otp_not_found') }),
    z.object({
      kind: z.enum([
        'correct',
        'incorrect',
        'unrecognised',
        'unsent',
        'unavailable',
        'already_verified',
        'otp_cancelled',
      ]),
      otp: z.object({
        status: z.enum(statuses),
        attemptsRemaining: z.number(),
        verifiedAt: z.number().nullable().default(null),
      }),
      locked: z.boolean(),
    }),
  ]),
);

/** Verification attempts: counted before the provider is asked, settled after it answered. */
export function createVerificationAttempts(
  options: RecordScriptOptions & { ranges: Pick<NumberRanges, 'note'>; conversion: Pick<Conversion, 'note'> },
) {
  const { encrypter, ranges, conversion } = options;
  const admitScript = loadRecordScript(options, 'verification/admit-attempt', requestLimits);
  const settleScript = loadRecordScript(options, 'verification/settle-attempt');
  /** The OTPs of admitted attempts, so that settling need not decrypt them again. */
  const opened = new WeakMap<Verification, Otp>();
  const replayHash = ({ app, id, replay }: Verification) => {
    if (!replay) return '';
    const { code, key, binding } = replay;
    const parts = [app, id, code, key, ...(binding === undefined ? [] : [binding])];
    return encrypter.hashes('verification', parts.join('\n'))[0];
  };

  return {
    /** `replayed`: this very verification succeeded less than 60 s ago. */
    admit: async (
      verification: Verification,
    ): Promise<{ kind: 'admitted' | 'replayed'; otp: Otp } | { kind: VerificationRefusal }> => {
      const { app, id, token } = verification;
      const partition = partitionOfId(id);
      if (!partition) return { kind: 'otp_not_found' };
      const args = [app, token, replayHash(verification)];
      const [kind, raw] = admitReply.parse(await admitScript(keys.record(partition, id), args));
      if (kind !== 'admitted' && kind !== 'replayed') return { kind: refusal.parse(kind) };
      const otp = openRecord(encrypter, raw ?? '');
      opened.set(verification, otp);
      return { kind, otp };
    },
    /**
     * Throws unless it gets the object that `admit` was given. `verified` is durable before it is returned, and returned
     * to at most one call of an OTP. `recipientLocked`: too many codes in a row were wrong for this number.
     * `unrecognised` spends the OTP's attempt, and does not count for the number.
     */
    settle: async (
      verification: Verification,
      outcome: VerifyOutcome['kind'],
    ): Promise<
      | { kind: 'verified'; otp: Otp }
      | { kind: 'incorrect' | 'unrecognised' | 'unavailable'; otp: Otp; recipientLocked: boolean }
      | { kind: VerificationRefusal }
    > => {
      const { id, token } = verification;
      const otp = opened.get(verification);
      if (!otp) throw new Error('settle() needs the object that admit() was given');
      const args = [token, outcome, replayHash(verification)];
      const reply = settleReply.parse(await settleScript(keys.recordOfId(id), args));
      if (reply.kind === 'otp_not_found') return { kind: 'otp_not_found' };
      const { kind, locked } = reply;
      const now = { ...otp, ...reply.otp };
      switch (kind) {
        case 'correct':
          void ranges.note(now, 'verified');
          void conversion.note(now, 'verified');
          return { kind: 'verified', otp: now };
        case 'incorrect':
        case 'unrecognised':
          return { kind, otp: now, recipientLocked: locked };
        case 'unsent':
        case 'unavailable':
          return { kind: 'unavailable', otp: now, recipientLocked: locked };
        default:
          return { kind };
      }
    },
  };
}

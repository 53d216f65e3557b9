import { z } from 'zod';
import type { Otp } from '../otp/otp.js';
import { partitionOfId } from '../otp/otp-id.js';
import type { VerifyOutcome } from '../otp/outcome.js';
import { keys } from './keys.js';
import type { NumberRanges } from './number-ranges.js';
import type { RecordStoreOptions } from './otps.js';
import { recordSchema, toOtp } from './record.js';
import { loadRecordScript } from './script.js';

const refusals = [
  'otp_not_found',
  'not_sent',
  'already_verified',
  'otp_cancelled',
  'attempts_exhausted',
  'not_verifiable',
  'otp_expired',
  'verification_in_progress',
  'phone_locked',
] as const;

/** Why no attempt was admitted, or why a right code no longer counts: the contract's problem codes. */
export type VerificationRefusal = (typeof refusals)[number];

/** Which verification: of whose OTP, and under which idempotency key with which code, if any. */
export interface Verification {
  app: string;
  id: string;
  /** Unique to this call. */
  token: string;
  replay: { key: string; code: string } | null;
}

/** Verification attempts: counted before the provider is asked, settled after it answered. */
export interface VerificationAttempts {
  /** `replayed`: this very verification succeeded less than 60 s ago. */
  admit(
    verification: Verification,
  ): Promise<{ kind: 'admitted' | 'replayed'; otp: Otp } | { kind: VerificationRefusal }>;
  /**
   * `verified` is durable before it is returned, and returned to at most one call of an OTP. `phoneLocked`: by now
   * too many codes in a row were wrong for this number.
   */
  settle(
    verification: Verification,
    verdict: VerifyOutcome['kind'],
  ): Promise<
    | { kind: 'verified'; otp: Otp }
    | { kind: 'incorrect' | 'unavailable'; otp: Otp; phoneLocked: boolean }
    | { kind: VerificationRefusal }
  >;
}

const reply = z.tuple([z.string(), z.string().optional(), z.number().optional()]);
const refusal = z.enum(refusals);

export function createVerificationAttempts(
  options: RecordStoreOptions & { ranges: Pick<NumberRanges, 'note'> },
): VerificationAttempts {
  const { sealer, ranges } = options;
  const admitScript = loadRecordScript(options, 'admit-attempt', { parts: ['phone'] });
  const settleScript = loadRecordScript(options, 'settle-attempt', { parts: ['phone'] });
  const open = (raw: string | undefined) => toOtp(sealer, recordSchema.parse(JSON.parse(raw ?? '')));
  const replayHash = ({ app, id, replay }: Verification) =>
    replay ? sealer.hashes('verification', [app, id, replay.code, replay.key].join('\n'))[0] : '';

  return {
    admit: async (verification) => {
      const { app, id, token } = verification;
      const partition = partitionOfId(id);
      if (!partition) return { kind: 'otp_not_found' };
      const args = [app, token, replayHash(verification)];
      const [kind, raw] = reply.parse(await admitScript(keys.record(partition, id), args));
      if (kind === 'admitted' || kind === 'replayed') return { kind, otp: open(raw) };
      return { kind: refusal.parse(kind) };
    },
    settle: async (verification, verdict) => {
      const { id, token } = verification;
      const partition = partitionOfId(id) ?? '';
      const args = [token, verdict, replayHash(verification)];
      const [kind, raw, locked] = reply.parse(await settleScript(keys.record(partition, id), args));
      switch (kind) {
        case 'correct': {
          const otp = open(raw);
          void ranges.note(otp, 'verified');
          return { kind: 'verified', otp };
        }
        case 'incorrect':
          return { kind, otp: open(raw), phoneLocked: locked === 1 };
        case 'unsent':
        case 'unavailable':
          return { kind: 'unavailable', otp: open(raw), phoneLocked: locked === 1 };
        default:
          return { kind: refusal.parse(kind) };
      }
    },
  };
}

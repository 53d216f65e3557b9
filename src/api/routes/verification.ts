import type { Logger } from '../../lib/logger.js';
import type { Otp } from '../../otp/otp.js';
import { randomText } from '../../otp/otp-id.js';
import { accountTroubles, type VerifyOutcome } from '../../otp/outcome.js';
import type { Provider } from '../../otp/provider.js';
import type { Store } from '../../store/store.js';
import type { Verification } from '../../store/verification-attempts.js';
import { ApiProblem } from '../http/problem.js';
import type { ApiMetrics } from './metrics.js';

export interface VerificationDependencies {
  store: Pick<Store, 'verificationAttempts'>;
  provider: Pick<Provider, 'verify'>;
  logger: Logger;
  metrics: Pick<ApiMetrics, 'verification' | 'verified' | 'unrecognised'>;
}

/** So many OTPs of an app refused in a row in words that do not say that the code was wrong: iSMS answers none of it. */
const several = 3;
const troubles: readonly string[] = accountTroubles;

/** A code that somebody typed, for an OTP of this app. */
export interface TypedCode {
  app: string;
  id: string;
  code: string;
  /** The client's idempotency key, if it has one. */
  key: string | undefined;
  /** Told the OTP's id once it is known to be the app's. */
  setOtpId(otpId: string): void;
}

/** Resolves only when this very call verified the OTP, or an earlier one with the same key did; else throws the problem. */
export type Verify = (typed: TypedCode) => Promise<{ otp: Otp; verifiedAt: number; replayed: boolean }>;

/** The straight walk of every verification: an attempt is admitted, iSMS is asked, what it says is settled. */
export function createVerify(dependencies: VerificationDependencies): Verify {
  const unclearByApp = new Map<string, Set<string>>();
  return async ({ app, id, code, key, setOtpId }) => {
    const verification = { app, id, token: randomText(), replay: key === undefined ? null : { key, code } };
    const admission = await dependencies.store.verificationAttempts.admit(verification);
    if (!('otp' in admission)) throw new ApiProblem(admission.kind);
    setOtpId(admission.otp.id);
    const unclear = unclearByApp.get(app) ?? new Set();
    unclearByApp.set(app, unclear);
    const replayed = admission.kind === 'replayed';
    const otp = replayed
      ? admission.otp
      : await decide({ ...dependencies, unclear }, { verification, otp: admission.otp, code });
    if (otp.verifiedAt === null) throw new Error('an OTP is verified but has no time of it');
    return { otp, verifiedAt: otp.verifiedAt, replayed };
  };
}

async function decide(
  { store, provider, logger, metrics, unclear }: VerificationDependencies & { unclear: Set<string> },
  { verification, otp, code }: { verification: Verification; otp: Otp; code: string },
): Promise<Otp> {
  const outcome = await provider.verify(verifyCall(otp, code));
  if (!otp.isTest) noteAnswer({ logger, metrics, unclear }, otp, outcome);
  // Account trouble says no more about the person's code than unknown words do.
  const aboutAccount = outcome.kind === 'unavailable' && troubles.includes(outcome.reason);
  const verdict = aboutAccount ? 'unrecognised' : outcome.kind;
  const settled = await store.verificationAttempts.settle(verification, verdict);
  if ('phoneLocked' in settled && settled.phoneLocked) {
    const { app, id, to } = settled.otp;
    logger.warn(
      { event: 'phone.locked', app, otpId: id, to: to.masked },
      'too many wrong codes in a row: the number is locked until `isms-otp unlock`',
    );
  }
  switch (settled.kind) {
    case 'verified':
      if (!otp.isTest) metrics.verified(settled.otp.app, settled.otp.to.country);
      return settled.otp;
    case 'incorrect':
      throw incorrect(settled.otp);
    case 'unrecognised':
      if (outcome.kind === 'unrecognised' && unclear.size < several) throw incorrect(settled.otp);
      throw new ApiProblem('provider_unavailable', {
        reason: 'reason' in outcome ? outcome.reason : 'unrecognised_refusal',
      });
    case 'unavailable':
      throw new ApiProblem('provider_unavailable', {
        reason: 'reason' in outcome ? outcome.reason : 'lease_lapsed',
      });
    default:
      throw new ApiProblem(settled.kind);
  }
}

/** Which OTPs in a row got an answer that does not say whether the code was right. */
function noteAnswer(
  {
    logger,
    metrics,
    unclear,
  }: Pick<VerificationDependencies, 'logger' | 'metrics'> & { unclear: Set<string> },
  { app, id }: Otp,
  outcome: VerifyOutcome,
): void {
  if (outcome.kind === 'correct' || outcome.kind === 'incorrect') unclear.clear();
  if (outcome.kind !== 'unrecognised') return;
  if (unclear.size < several) unclear.add(id);
  metrics.unrecognised('verify');
  logger.warn(
    { event: 'verification.unrecognised', app, otpId: id, refusal: outcome.text },
    'iSMS refused a verification in words that the gateway does not know',
  );
}

function incorrect({ attemptsRemaining }: Otp): ApiProblem {
  return new ApiProblem('incorrect_code', { members: { attemptsRemaining } });
}

function verifyCall(otp: Otp, code: string) {
  const { app, isTest, to, uuid, smsId, senderId, ttlSeconds } = otp;
  if (uuid === null || smsId === null) throw new Error('an OTP was sent but has no ids');
  return { app, isTest, to, uuid, smsId, code, senderId, validMinutes: Math.ceil(ttlSeconds / 60) };
}

import type { Otp } from 'isms-otp-client';
import { exitCodes } from './exit-codes.js';
import type { Failure } from './failure.js';
import { rows } from './rows.js';

/** Ended without a code that could be verified. */
const unsent: readonly Otp['status'][] = ['failed', 'unknown', 'cancelled', 'expired', 'locked'];

/** An OTP as people read it, with what can be done next. */
export function otpText(otp: Otp): string {
  return rows([
    ['id', otp.id],
    ['status', otp.status],
    ['to', otp.to],
    ['reference', otp.reference],
    ['purpose', otp.purpose],
    ['sent', otp.sentAt],
    [otp.sentAt === null ? 'send before' : 'expires', otp.sentAt === null ? otp.sendDeadline : otp.expiresAt],
    ['attempts left', otp.status === 'sent' ? otp.attemptsRemaining : null],
    ['failure', otp.failure && `${otp.failure.message} (${otp.failure.code})`],
    ['next', nextStep(otp)],
  ]);
}

/** Why an OTP will never be verified; null when it may, or was. */
export function failureOfOtp({ status, failure }: Otp): Failure | null {
  if (!unsent.includes(status)) return null;
  const message = failure ? failure.message : `The OTP is ${status}`;
  return { code: failure?.code ?? status, message, advice: '', exitCode: exitCodes.refused };
}

/** Whether it changes no more. */
export function hasEnded({ status }: Otp): boolean {
  return status === 'verified' || unsent.includes(status);
}

function nextStep({ id, status }: Otp): string | null {
  if (status === 'sent') return `isms-otp verify ${id} <code>`;
  return status === 'queued' || status === 'sending' ? `isms-otp status ${id} --watch` : null;
}

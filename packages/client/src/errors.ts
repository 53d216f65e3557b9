import type { Otp, ProblemCode } from './types.js';

/** Code of an error: the gateway's, or why there is no valid answer. */
export type OtpErrorCode = ProblemCode | 'network_error' | 'timeout' | 'invalid_answer';

/** Members of an `OtpError`. */
interface OtpErrorFacts {
  code: OtpErrorCode;
  detail: string;
  status?: number | null;
  errors?: readonly InputMistake[] | undefined;
  retryAfterSeconds?: number | null;
  requestId?: string | null;
  attemptsRemaining?: number | undefined;
  idempotencyKey?: string | null;
}

/** An error in a request. */
export interface InputMistake {
  /** The member, such as `to`. */
  path: string;
  /** What it must be, in English. */
  message: string;
}

/** A failed call. Its message never contains an OTP code, a key or a phone number, so it can be logged. */
export class OtpError extends Error {
  override readonly name: string = 'OtpError';
  /** Stable, for programs. */
  readonly code: OtpErrorCode;
  /** HTTP status; null if there was no answer. */
  readonly status: number | null;
  /** In English, for people. */
  readonly detail: string;
  /** All errors, for `invalid_request` and `message_not_allowed`. */
  declare readonly errors?: readonly InputMistake[];
  /** Seconds to wait before a retry; null if the gateway named none. */
  readonly retryAfterSeconds: number | null;
  /** Finds the request in the gateway's log. */
  readonly requestId: string | null;
  /** How many attempts are left, for `incorrect_code` and `binding_mismatch`. */
  declare readonly attemptsRemaining?: number;
  /** The call's `idempotencyKey`, to repeat it; null if it had none. */
  readonly idempotencyKey: string | null;

  constructor(facts: OtpErrorFacts) {
    super(`${facts.code}: ${facts.detail}`);
    this.code = facts.code;
    this.detail = facts.detail;
    this.status = facts.status ?? null;
    if (facts.errors) this.errors = facts.errors;
    this.retryAfterSeconds = facts.retryAfterSeconds ?? null;
    this.requestId = facts.requestId ?? null;
    if (facts.attemptsRemaining !== undefined) this.attemptsRemaining = facts.attemptsRemaining;
    this.idempotencyKey = facts.idempotencyKey ?? null;
  }
}

/** `waitUntilSent` timed out; `code` is `timeout`. */
export class OtpTimeout extends OtpError {
  override readonly name = 'OtpTimeout';

  /** Private, so that logging the error does not print the phone number. */
  readonly #otp: Otp | null;

  constructor(otp: Otp | null) {
    super({ code: 'timeout', detail: 'The OTP was not sent within the time-out; it may still be.' });
    this.#otp = otp;
  }

  /** The OTP as last read; null if no read succeeded. */
  get otp(): Otp | null {
    return this.#otp;
  }
}

/** An upload broke off. Repeating it with the same OTPs in the same order and `idempotencyKey` sends each once. */
export class OtpUploadBroken extends OtpError {
  override readonly name = 'OtpUploadBroken';
  override readonly idempotencyKey: string;
  /** Id of the batch; null if the gateway had not started to answer. */
  readonly batchId: string | null;
  /** How many OTPs have a result, given to `onResult`. */
  readonly linesAnswered: number;

  constructor(
    cause: OtpErrorFacts,
    upload: { idempotencyKey: string; batchId: string | null; linesAnswered: number },
  ) {
    super(cause);
    this.idempotencyKey = upload.idempotencyKey;
    this.batchId = upload.batchId;
    this.linesAnswered = upload.linesAnswered;
  }
}

/** Tells whether a value is an `OtpError`, and one with these codes if any are given. */
export function isOtpError<C extends OtpErrorCode = OtpErrorCode>(
  error: unknown,
  ...codes: readonly C[]
): error is OtpError & { readonly code: C } {
  if (!(error instanceof OtpError)) return false;
  return codes.length === 0 || codes.some((code) => code === error.code);
}

/** Omits the cause's message: some runtimes put the whole URL into it. */
export function networkError(cause: unknown, idempotencyKey: string | null): OtpError {
  const word = systemCode(cause) ?? systemCode(cause instanceof Error ? cause.cause : null);
  const detail = word === null ? 'The gateway did not answer.' : `The gateway did not answer (${word}).`;
  return new OtpError({ code: 'network_error', detail, idempotencyKey });
}

function systemCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' && /^[A-Z][A-Z_]{1,40}$/.test(error.code) ? error.code : null;
}

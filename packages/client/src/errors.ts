import type { Otp, ProblemCode } from './types.js';

/** A problem that the gateway names, or why there is no answer of its. */
export type OtpErrorCode = ProblemCode | 'network_error' | 'timeout' | 'invalid_answer';

/** What is known about a call that failed. */
export interface OtpErrorFacts {
  code: OtpErrorCode;
  detail: string;
  status?: number | null;
  errors?: readonly InputMistake[] | undefined;
  retryAfterSeconds?: number | null;
  requestId?: string | null;
  attemptsRemaining?: number | undefined;
  idempotencyKey?: string | null;
}

/** One mistake in what was asked: where, and what must be. */
export interface InputMistake {
  path: string;
  message: string;
}

/**
 * A call that did not end well. The message is made of the code and of what the gateway says to everybody: it never
 * holds a code, a key or a phone number, so that it can be logged.
 */
export class OtpError extends Error {
  override readonly name: string = 'OtpError';
  /** Stable, for programs. */
  readonly code: OtpErrorCode;
  /** HTTP status; null when no answer came. */
  readonly status: number | null;
  /** In English, for people. */
  readonly detail: string;
  /** Of `invalid_request` and `message_not_allowed`: each mistake. */
  declare readonly errors?: readonly InputMistake[];
  /** How long to wait before it makes sense to ask again, in seconds, where the gateway says so. */
  readonly retryAfterSeconds: number | null;
  /** Finds the request in the gateway's log. */
  readonly requestId: string | null;
  /** Of `incorrect_code`: how many attempts are left. */
  declare readonly attemptsRemaining?: number;
  /** What to give as `idempotencyKey` to make the very same call once more; null where none was used. */
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

/** `waitUntilSent` ran out of time; `code` is `timeout`. */
export class OtpTimeout extends OtpError {
  override readonly name = 'OtpTimeout';

  /** Not among what is printed or logged of the error: it holds the whole number. */
  readonly #otp: Otp | null;

  constructor(otp: Otp | null) {
    super({ code: 'timeout', detail: 'The OTP is still on its way; nobody waits for it any more.' });
    this.#otp = otp;
  }

  /** The OTP as last seen; null when no look at it succeeded. */
  get otp(): Otp | null {
    return this.#otp;
  }
}

/**
 * An upload broke off, or was answered incompletely. Nothing is lost or doubled by sending the very same OTPs in the very
 * same order again, with `idempotencyKey`.
 */
export class OtpUploadBroken extends OtpError {
  override readonly name = 'OtpUploadBroken';
  override readonly idempotencyKey: string;
  /** Null when the gateway had not begun to answer. */
  readonly batchId: string | null;
  /** How many OTPs have been answered, and told to `onResult`. */
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

/** Whether it is an error of this client, and, if codes are given, one of these. */
export function isOtpError<C extends OtpErrorCode = OtpErrorCode>(
  error: unknown,
  ...codes: readonly C[]
): error is OtpError & { readonly code: C } {
  if (!(error instanceof OtpError)) return false;
  return codes.length === 0 || codes.some((code) => code === error.code);
}

/** Without the message of the cause: some runtimes put the whole URL into it. */
export function networkError(cause: unknown, idempotencyKey: string | null): OtpError {
  const word = systemCode(cause) ?? systemCode(cause instanceof Error ? cause.cause : null);
  const detail = word === null ? 'The gateway did not answer.' : `The gateway did not answer (${word}).`;
  return new OtpError({ code: 'network_error', detail, idempotencyKey });
}

function systemCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' && /^[A-Z][A-Z_]{1,40}$/.test(error.code) ? error.code : null;
}

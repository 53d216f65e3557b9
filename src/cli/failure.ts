import { isOtpError, type OtpError, type OtpErrorCode } from 'isms-otp-client';

/** Exit codes of the commands that use a gateway; documented in docs/command-line.md. */
export const exitCodes = {
  done: 0,
  /** The gateway rejected the request, or the operation failed. */
  rejected: 1,
  /** The command, its file or its settings are wrong. */
  usage: 2,
  /** The code was wrong or is no longer valid. */
  wrongCode: 3,
  /** The gateway is unreachable or unavailable. */
  unavailable: 4,
  stopped: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Why a command failed, ready to be printed. */
interface Failure {
  code: string;
  message: string;
  /** What to do about it; may be empty. */
  advice: string;
  exitCode: ExitCode;
  /** Further members of the JSON form. */
  facts?: { retryAfterSeconds?: number; attemptsRemaining?: number; errors?: readonly object[] };
}

/** A failure found by the command itself. Contains no API key. */
export class CommandError extends Error implements Failure {
  override readonly name = 'CommandError';

  constructor(
    readonly code: string,
    message: string,
    readonly advice: string,
    readonly exitCode: ExitCode = exitCodes.usage,
  ) {
    super(message);
  }
}

/** A command line that the command cannot accept. */
export function usageError(message: string, command: string): CommandError {
  return new CommandError('usage', message, `see isms-otp ${command} --help`);
}

const wrongCodes = [
  'incorrect_code',
  'binding_mismatch',
  'already_verified',
  'otp_expired',
  'otp_cancelled',
  'attempts_exhausted',
] as const;
const unreachable = ['network_error', 'timeout', 'invalid_answer'] as const;

/** Advice where the API's own detail does not fit a terminal. */
const adviceByCode: Partial<Record<OtpErrorCode, string>> = {
  unauthorized: 'set ISMS_OTP_KEY to a key of your app',
  network_error: 'check that it runs at the address in ISMS_OTP_URL or --url',
  timeout: 'try again, or check the health of the gateway: GET /readyz',
  invalid_answer: 'check that ISMS_OTP_URL or --url is the address of a gateway',
  batch_cancelled: 'use --again to send the file as a new batch',
};

/** Converts an error of a command into a failure; rethrows unexpected errors. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CommandError) return error;
  if (isOtpError(error)) return gatewayFailure(error);
  // The client reports invalid arguments as a TypeError.
  if (error instanceof TypeError) {
    return { code: 'usage', message: error.message, advice: '', exitCode: exitCodes.usage };
  }
  if (error instanceof Error && 'syscall' in error && 'code' in error) {
    return { code: String(error.code), message: error.message, advice: '', exitCode: exitCodes.rejected };
  }
  throw error;
}

/** Formats the reason of a failure. */
export function reasonText({ code, message }: { code: string; message: string }): string {
  return `${message.replace(/\.$/, '')} (${code})`;
}

function gatewayFailure(error: OtpError): Failure {
  const { code, detail, retryAfterSeconds, attemptsRemaining, errors } = error;
  // The first sentence says what is wrong, the rest what to do.
  const [what = detail, ...more] = detail.split(/(?<=\.) /);
  const advice = [
    adviceByCode[code] ?? more.join(' ').replace(/\.$/, ''),
    ...(errors ?? []).map(({ path, message }) => `${path} ${message}`.trim()),
    retryAfterSeconds === null || /again in/.test(detail) ? '' : `try again in ${retryAfterSeconds} s`,
  ];
  return {
    code,
    ...(attemptsRemaining === undefined
      ? {
          message: code === 'invalid_request' ? 'The request is invalid' : what,
          advice: advice.filter((part) => part !== '').join('; '),
        }
      : {
          message: code === 'binding_mismatch' ? 'The code approves something else' : 'The code is wrong',
          advice: `attempts left: ${attemptsRemaining}`,
        }),
    exitCode: exitCodeOf(error),
    facts: {
      ...(retryAfterSeconds !== null && { retryAfterSeconds }),
      ...(attemptsRemaining !== undefined && { attemptsRemaining }),
      ...(errors && { errors }),
    },
  };
}

function exitCodeOf(error: OtpError): ExitCode {
  if (isOtpError(error, ...wrongCodes)) return exitCodes.wrongCode;
  if (isOtpError(error, ...unreachable) || error.status === 503) return exitCodes.unavailable;
  return exitCodes.rejected;
}

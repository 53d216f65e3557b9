import { isOtpError, type OtpError, type OtpErrorCode } from 'isms-otp-client';
import { CommandError } from './command-error.js';
import { type ExitCode, exitCodes } from './exit-codes.js';

/** Why a command ends badly, as it is told. */
export interface Failure {
  code: string;
  message: string;
  advice: string;
  exitCode: ExitCode;
  /** What else programs are told. */
  facts?: { retryAfterSeconds?: number; attemptsRemaining?: number; errors?: readonly object[] };
}

const wrongCodes = [
  'incorrect_code',
  'already_verified',
  'otp_expired',
  'otp_cancelled',
  'attempts_exhausted',
] as const;
const unreachable = ['network_error', 'timeout', 'invalid_answer'] as const;

/** Where the gateway's own words do not say what to do from here. */
const adviceByCode: Partial<Record<OtpErrorCode, string>> = {
  unauthorized: 'set ISMS_OTP_KEY to a key of your app',
  network_error: 'see that it runs where ISMS_OTP_URL or --url says',
  timeout: 'ask again, or look whether the gateway is well: GET /readyz',
  invalid_answer: 'see that ISMS_OTP_URL or --url is the address of a gateway',
  batch_cancelled: 'with --again it is sent as a new batch',
};

/** What an error of a command means to whoever called it. Errors of ours that nobody expects stay errors. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CommandError) return error;
  if (isOtpError(error)) return gatewayFailure(error);
  // What the client cannot take, it says in a TypeError.
  if (error instanceof TypeError) return { ...said('usage', error.message), exitCode: exitCodes.usage };
  if (error instanceof Error && 'syscall' in error && 'code' in error) {
    return { ...said(String(error.code), error.message), exitCode: exitCodes.refused };
  }
  throw error;
}

/** What a command says that was told to stop. */
export function stopped(advice: string): Failure {
  return { code: 'stopped', message: 'Stopped', advice, exitCode: exitCodes.stopped };
}

/** A failure in one line. */
export function failureText({ message, code, advice }: Failure): string {
  const what = `isms-otp: ${message.replace(/\.$/, '')} (${code})`;
  return (advice === '' ? what : `${what}: ${advice}`).replaceAll(/\s*\n\s*/g, ' ');
}

/** The same for programs. */
export function failureJson({ code, message, facts }: Failure): object {
  return { error: { code, message, ...facts } };
}

function gatewayFailure(error: OtpError): Failure {
  const { code, detail, retryAfterSeconds, attemptsRemaining, errors } = error;
  // The gateway says first what is wrong, and then what can be done.
  const [what = detail, ...more] = detail.split(/(?<=\.) /);
  const advice = [
    adviceByCode[code] ?? more.join(' ').replace(/\.$/, ''),
    ...(errors ?? []).map(({ path, message }) => `${path} ${message}`.trim()),
    retryAfterSeconds === null ? '' : `try again in ${retryAfterSeconds} s`,
  ];
  return {
    code,
    ...(attemptsRemaining === undefined
      ? { message: code === 'invalid_request' ? 'The request is not right' : what, advice: inOne(advice) }
      : { message: 'The code is wrong', advice: `attempts left: ${attemptsRemaining}` }),
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
  return exitCodes.refused;
}

function inOne(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('; ');
}

function said(code: string, message: string) {
  return { code, message, advice: '' };
}

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** An OtpError or other exception, as `run.php` prints it. */
export interface PhpError extends Record<string, unknown> {
  class: string;
  code: unknown;
  message: string;
  /** Everything that ways to print the error print. */
  dump: string;
}

/** The outcome of PHP code; `error` if it threw. */
export interface PhpResult<T> {
  value?: T;
  error?: PhpError;
}

// Warnings and deprecations are printed and fail the test; stack traces hold arguments, as while developing.
const settings = {
  error_reporting: '-1',
  display_errors: 'stderr',
  log_errors: '0',
  'zend.exception_ignore_args': '0',
  'zend.exception_string_param_max_len': '1000',
};
export const phpOptions = Object.entries(settings).flatMap(([name, value]) => ['-d', `${name}=${value}`]);

/** Runs PHP code with a client of the gateway at `url`, `$otps`, in a PHP of its own. */
export async function runPhp<T = unknown>(
  code: string,
  { url, key }: { url: string; key: string },
): Promise<PhpResult<T>> {
  const env = { PATH: process.env['PATH'], OTP_URL: url, OTP_KEY: key };
  const args = [...phpOptions, 'test/clients/php/run.php', code];
  const { stdout, stderr } = await promisify(execFile)('php', args, { env, maxBuffer: 64 * 1024 * 1024 });
  if (stderr !== '') throw new Error(stderr);
  return JSON.parse(stdout) as PhpResult<T>;
}

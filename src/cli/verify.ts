import { isOtpError, type Verified } from 'isms-otp-client';
import { answer, type Call, connect, readLine } from './call.js';
import { CommandError, type ExitCode, exitCodes, failureOf, usageError } from './failure.js';
import { given } from './send.js';

/** Options of `verify`, as they are set. */
export interface VerifyOptions {
  to?: string;
  purpose?: string;
  binding?: string;
}

/** Verifies a code of the OTP with an id, or of the newest OTP to a number (`--to`). */
export async function verify(
  call: Call,
  words: readonly string[],
  { to, purpose, binding }: VerifyOptions,
): Promise<ExitCode> {
  const [id, word, ...more] = to === undefined ? words : ['', ...words];
  if (id === undefined) throw usageError('Give an id, or --to and a number', call.name);
  if (more.length > 0) throw usageError('Give an id and a code, no more', call.name);
  if (to === undefined && purpose !== undefined) throw usageError('--purpose requires --to', call.name);
  const code = await readCode(call, word);
  const { client } = await connect(call);
  const options = { signal: call.signal };
  const verified: Verified =
    to === undefined
      ? await client.verify(id, code, { ...options, ...given({ binding }) }).catch((error: unknown) => {
          throw afterTimeout(error, id);
        })
      : await client.verifyByNumber({ to, code, ...given({ purpose, binding }) }, options);
  answer(call, verified, 'verified');
  return exitCodes.done;
}

/** The gateway may have checked the code: a second call with a wrong code would use another attempt. */
function afterTimeout(error: unknown, id: string): unknown {
  if (!isOtpError(error, 'timeout')) return error;
  const { code, message, exitCode } = failureOf(error);
  return new CommandError(code, message, `isms-otp status ${id} shows the outcome`, exitCode);
}

/** Reads a code that is not in the arguments, which the shell's history keeps. */
async function readCode(call: Call, word: string | undefined): Promise<string> {
  if (word !== undefined && word !== '-') return word;
  if (word === undefined && !call.stdin.isTTY) {
    throw usageError('Give a code, or - to read it from stdin', call.name);
  }
  return await readLine(call, word === undefined ? 'Code: ' : '');
}

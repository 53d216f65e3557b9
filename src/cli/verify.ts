import { isOtpError, type Verified } from 'isms-otp-client';
import { given } from './call.js';
import { type Call, defineCommand } from './command.js';
import { CommandError } from './command-error.js';
import { exitCodes } from './exit-codes.js';
import { failureOf } from './failure.js';
import { gatewayOf } from './gateway.js';
import { readLine } from './read-line.js';

/** Verifies a code; the exit code says whether it was right. */
export const verify = defineCommand({
  form: 'verify <id> <code>',
  says: 'verify a code; with - it is read from stdin, without it the terminal asks',
  flags: {
    to: { takes: 'number', says: 'in place of the id: the newest OTP of this number' },
    purpose: { takes: 'word', says: 'and, with --to, of this purpose' },
  },
  run: async (call) => {
    const to = call.text('to');
    const [code, ...more] = to === undefined ? call.words.slice(1) : call.words;
    const id = to === undefined ? call.words[0] : null;
    if (id === undefined) throw call.misused('An id, or --to and a number, is needed');
    if (more.length > 0) throw call.misused('There are more words than an id and a code');
    if (to === undefined && call.text('purpose') !== undefined) {
      throw call.misused('--purpose goes with --to: an id says it all');
    }
    const verified = await ask(call, id, await codeOf(call, code));
    call.answer(verified, 'verified');
    return exitCodes.done;
  },
});

async function ask(call: Call<'to' | 'purpose' | 'url'>, id: string | null, code: string): Promise<Verified> {
  const { client } = await gatewayOf(call);
  const options = { signal: call.io.signal };
  const asked =
    id === null
      ? client.verifyByNumber(
          { to: call.text('to') ?? '', code, ...given({ purpose: call.text('purpose') }) },
          options,
        )
      : client.verify(id, code, options);
  return await asked.catch((error: unknown) => {
    throw id === null ? error : whenLost(error, id);
  });
}

/** It may have been judged: asked again, a wrong code would spend another attempt. */
function whenLost(error: unknown, id: string): unknown {
  if (!isOtpError(error, 'timeout')) return error;
  const { code, message, exitCode } = failureOf(error);
  return new CommandError(code, message, `isms-otp status ${id} says what became of it`, exitCode);
}

/** What is typed after the command stays in the shell's history; what is read from stdin does not. */
async function codeOf(
  { io, misused }: Pick<Call, 'io' | 'misused'>,
  word: string | undefined,
): Promise<string> {
  if (word !== undefined && word !== '-') return word;
  if (word === undefined && !io.stdin.isTTY) throw misused('A code is needed, or - to read it from stdin');
  return await readLine(io, word === undefined ? 'Code: ' : '');
}

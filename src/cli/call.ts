import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { OtpClient } from 'isms-otp-client';
import { CommandError, type ExitCode, exitCodes, failureOf, reasonText } from './failure.js';

/** A stream that a command writes to: a terminal, a file or a pipe. */
interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  /** Width of the terminal, in characters. */
  columns?: number;
}

/** The environment and streams of a command. */
export interface Terminal {
  env: Readonly<Record<string, string | undefined>>;
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  stdout: Output;
  stderr: Output;
}

/** One call of a command that uses a gateway. */
export interface Call extends Terminal {
  /** Name of the command. */
  name: string;
  json: boolean;
  /** `--url`. */
  url: string | undefined;
  /** Aborts when the command is told to stop. */
  signal: AbortSignal;
}

const defaultUrl = 'http://127.0.0.1:3000';

/** Longer than a call in which the gateway waits for iSMS, in ms. */
const timeoutMs = 20_000;

/** Runs a command and writes its failure, if any, to stderr. Rejects only for a bug. */
export async function runCall(
  call: Call,
  run: (call: Call) => Promise<ExitCode>,
  whenStopped = '',
): Promise<ExitCode> {
  try {
    return await run(call);
  } catch (error) {
    const stopped = { code: 'stopped', message: 'Stopped', advice: whenStopped, exitCode: exitCodes.stopped };
    return complain(call, call.signal.aborted ? stopped : failureOf(error));
  }
}

/** Writes a result to stdout: one line of JSON with `--json`, else the text. */
export function answer({ json, stdout }: Call, value: object, text: string): void {
  stdout.write(`${json ? JSON.stringify(value) : text}\n`);
}

/** Writes a prompt to stderr, and reads a line of stdin; empty at its end. */
export async function readLine({ stdin, stderr, signal }: Call, prompt: string): Promise<string> {
  stderr.write(prompt);
  const lines = createInterface({ input: stdin, signal });
  try {
    for await (const line of lines) return line.trim();
    signal.throwIfAborted();
    return '';
  } finally {
    lines.close();
  }
}

/** Writes a failure to stderr, in one line, and returns its exit code. */
export function complain(
  { json, stderr }: Pick<Call, 'json' | 'stderr'>,
  failure: ReturnType<typeof failureOf>,
): ExitCode {
  const { code, message, advice, exitCode, facts } = failure;
  const text = `isms-otp: ${reasonText(failure)}${advice === '' ? '' : `: ${advice}`}`;
  stderr.write(
    `${json ? JSON.stringify({ error: { code, message, ...facts } }) : text.replaceAll(/\s*\n\s*/g, ' ')}\n`,
  );
  return exitCode;
}

/** Creates a client for the gateway that settings and `--url` name. Throws a CommandError for wrong settings. */
export async function connect({ env, ...call }: Call): Promise<{ url: string; client: OtpClient }> {
  const url = call.url ?? (env['ISMS_OTP_URL'] || defaultUrl);
  const apiKey = await readKey(env);
  try {
    return {
      url: new URL(url).href.replace(/\/+$/, ''),
      client: new OtpClient({ baseUrl: url, apiKey, timeoutMs }),
    };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw error.message.startsWith('apiKey')
      ? settingsError('The key must be visible ASCII characters without spaces', 'check ISMS_OTP_KEY')
      : settingsError(
          'The URL of the gateway is invalid',
          `use the form ${defaultUrl}: ISMS_OTP_URL or --url`,
        );
  }
}

/** Reads the key. It has no option, because options show in `ps` and in the shell's history. */
async function readKey(env: Call['env']): Promise<string> {
  const [key, file] = [env['ISMS_OTP_KEY'], env['ISMS_OTP_KEY_FILE']];
  if (key && file) {
    throw settingsError('ISMS_OTP_KEY and ISMS_OTP_KEY_FILE are both set', 'unset one of them');
  }
  if (key) return key;
  if (!file) {
    throw settingsError(
      'No key is set',
      'set ISMS_OTP_KEY, or ISMS_OTP_KEY_FILE, to a key of your app: npm start prints one, an operator creates one with isms-otp keys create',
    );
  }
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch {
    throw settingsError('The file in ISMS_OTP_KEY_FILE cannot be read', 'check its path and its permissions');
  }
}

function settingsError(problem: string, advice: string): CommandError {
  return new CommandError('settings', problem, advice);
}

/** The first items of a list; requests no page after them. */
export async function take<T>(items: AsyncIterable<T>, limit: number): Promise<T[]> {
  const taken: T[] = [];
  if (limit > 0) for await (const item of items) if (taken.push(item) === limit) break;
  return taken;
}

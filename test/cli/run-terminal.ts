import { Readable } from 'node:stream';
import type { CommandLineIo } from '../../src/main/commands.js';
import { runCommandLine } from '../../src/main/commands.js';
import type { FullGateway } from '../support/full-gateway.js';

/** Output and exit code of a command. */
export interface Ended {
  code: number;
  out: string;
  err: string;
  /** stdout, parsed as JSON. */
  json(): unknown;
}

/** Options of a run. */
export interface Run {
  env?: Record<string, string>;
  /** Text on stdin. */
  stdin?: string;
  /** stdin and stderr are a terminal. */
  tty?: boolean;
  signal?: AbortSignal;
  /** Called after each write to stdout. */
  onOutput?: () => void;
}

/** Runs a command in this process. */
export async function run(args: string[], options: Run = {}): Promise<Ended> {
  let [out, err] = ['', ''];
  const { env = {}, stdin = '', tty = false, signal = new AbortController().signal } = options;
  const io: CommandLineIo = {
    env,
    stdin: Object.assign(Readable.from(stdin === '' ? [] : [stdin]), { isTTY: tty }),
    stdout: {
      write: (text) => {
        out += text;
        options.onOutput?.();
      },
    },
    stderr: { write: (text) => (err += text), isTTY: tty },
    stopSignal: () => signal,
  };
  const code = await runCommandLine(args, io);
  return { code, out, err, json: () => JSON.parse(out) };
}

/** Settings of the commands that use a gateway. */
export function settingsFor({ url, key }: Pick<FullGateway, 'url' | 'key'>): Record<string, string> {
  return { ISMS_OTP_URL: url, ISMS_OTP_KEY: key };
}

/** Matches the error line of a command. */
export const failure = (message: string, code: string) => new RegExp(`^isms-otp: ${message}.* \\(${code}\\)`);

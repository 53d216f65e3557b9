import { Readable } from 'node:stream';
import { type CommandWords, runTerminal, type TerminalIo } from '../../src/cli/terminal.js';
import type { FullGateway } from '../support/full-gateway.js';

/** What a command said, and how it ended. */
export interface Ended {
  code: number;
  out: string;
  err: string;
  /** What is on stdout, as JSON. */
  json(): unknown;
}

/** How a command is run where it is not as usual. */
export interface Run {
  env?: Record<string, string>;
  /** What is typed, or piped in. */
  stdin?: string;
  /** stdin and stderr are a terminal. */
  tty?: boolean;
  signal?: AbortSignal;
  /** Called each time something is written to stdout. */
  onOutput?: () => void;
  commands?: readonly CommandWords[];
}

/** Runs a command in this process. */
export async function run([name = '', ...args]: string[], options: Run = {}): Promise<Ended> {
  let [out, err] = ['', ''];
  const { env = {}, stdin = '', tty = false, signal = new AbortController().signal } = options;
  const io: TerminalIo = {
    env,
    stdin: Object.assign(Readable.from(stdin === '' ? [] : [stdin]), { isTTY: tty }),
    stdout: {
      write: (text) => {
        out += text;
        options.onOutput?.();
      },
    },
    stderr: { write: (text) => (err += text), isTTY: tty },
    signal,
    ...(options.commands && { commands: options.commands }),
  };
  const code = await runTerminal(name, args, io);
  return { code, out, err, json: () => JSON.parse(out) };
}

/** The settings by which a command reaches a gateway. */
export function settingsFor({ url, key }: Pick<FullGateway, 'url' | 'key'>): Record<string, string> {
  return { ISMS_OTP_URL: url, ISMS_OTP_KEY: key };
}

/** The line that a command says when it ends badly. */
export const failure = (message: string, code: string) => new RegExp(`^isms-otp: ${message}.* \\(${code}\\)`);

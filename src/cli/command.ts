import type { ExitCode } from './exit-codes.js';
import type { Failure } from './failure.js';

/** What a command writes to: a terminal, a file, a pipe. */
export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  /** Width of the terminal, in characters. */
  columns?: number;
}

/** A command of isms-otp, and the words that can follow it. */
export interface CommandWords {
  name: string;
  /** As they are written: `--json`. */
  flags: readonly string[];
}

/** All of the world that a command touches, beside the gateway and the files that it is given. */
export interface TerminalIo {
  env: Readonly<Record<string, string | undefined>>;
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  stdout: Output;
  stderr: Output;
  /** Ends the command as soon as it aborts. */
  signal: AbortSignal;
  /** The commands of isms-otp that are not of this room, for `completion`. */
  commands?: readonly CommandWords[];
}

/** A flag of a command; without `takes` it is on or off. */
export interface Flag {
  /** What the word after it is, as the help calls it. */
  takes?: string;
  says: string;
}

/** By their names, without dashes. */
export type Flags = Readonly<Record<string, Flag>>;

/** One call of a command, its words read. */
export interface Call<Name extends string = string> {
  readonly io: TerminalIo;
  /** The words that are no flags. */
  readonly words: readonly string[];
  readonly json: boolean;
  /** The text after a flag; undefined where it does not stand. */
  text(flag: Name): string | undefined;
  /** The same as a whole number; throws a CommandError for another. */
  whole(flag: Name): number | undefined;
  is(flag: Name): boolean;
  /** Writes the answer to stdout: as JSON on one line if that was asked for, otherwise as text. */
  answer(json: object, text: string): void;
  /** Writes to stderr why it ends badly; its exit code. */
  complain(failure: Failure): ExitCode;
  /** For a call that cannot be understood; to be thrown. */
  misused(problem: string): Error;
}

/** A command. */
export interface Command {
  /** How it is called. */
  form: string;
  says: string;
  flags: Flags;
  /** Words that may stand where no flag does, for completion. */
  words?: readonly string[];
  /** What to do after it was told to stop, if anything. */
  whenStopped?: string;
  /** Resolves with the exit code; rejects with what went wrong. */
  run(call: Call): Promise<ExitCode>;
}

/** A command whose flags are known by name to its `run`. */
export function defineCommand<const F extends Flags>(
  command: Omit<Command, 'flags' | 'run'> & {
    flags: F;
    run(call: Call<(keyof F & string) | 'url'>): Promise<ExitCode>;
  },
): Command {
  return command;
}

/** The flags of every command. */
export const commonFlags = {
  url: { takes: 'URL', says: 'the gateway, in place of ISMS_OTP_URL' },
  json: { says: 'answers and errors as JSON' },
  help: { says: 'this text' },
} as const satisfies Flags;

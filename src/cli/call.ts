import { parseArgs } from 'node:util';
import { type Call, type Command, commonFlags, type Flags, type TerminalIo } from './command.js';
import { CommandError, usageError } from './command-error.js';
import { type Failure, failureJson, failureText } from './failure.js';

/** Reads the words of a call; throws a CommandError for what the command does not know. */
export function readCall(name: string, command: Command, args: string[], io: TerminalIo): Call {
  const { values, positionals } = parsed(name, { ...command.flags, ...commonFlags }, args);
  const json = values['json'] === true;
  const text = (flag: string) => {
    const value = values[flag];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    io,
    words: positionals,
    json,
    text,
    whole: (flag) => wholeNumber(name, flag, text(flag)),
    is: (flag) => values[flag] === true,
    answer: (value, shown) => void io.stdout.write(`${json ? JSON.stringify(value) : shown}\n`),
    complain: (failure) => complain(failure, { json, stderr: io.stderr }),
    misused: (problem) => usageError(problem, name),
  };
}

/** Writes to stderr why a command ends badly; its exit code. */
export function complain(
  failure: Failure,
  { json, stderr }: { json: boolean; stderr: TerminalIo['stderr'] },
) {
  stderr.write(`${json ? JSON.stringify(failureJson(failure)) : failureText(failure)}\n`);
  return failure.exitCode;
}

/** Members that have a value. */
export function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const known = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function parsed(name: string, flags: Flags, args: string[]) {
  const options = Object.fromEntries(
    Object.entries(flags).map(([flag, { takes }]) => [
      flag,
      { type: takes === undefined ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    // It quotes the flag, and explains at length how a word could begin with a dash.
    const [problem = ''] = error instanceof Error ? error.message.split('. ') : [];
    throw usageError(problem.split('\n')[0] ?? '', name);
  }
}

function wholeNumber(name: string, flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CommandError('usage', `--${flag} must be a whole number`, `see isms-otp ${name} --help`);
}

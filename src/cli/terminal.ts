import { balance } from './balance.js';
import { bulk } from './bulk.js';
import { complain, readCall } from './call.js';
import type { Command, CommandWords, TerminalIo } from './command.js';
import { completionCommand, wordsOf } from './completion.js';
import { type Shell, scriptFor } from './completion-scripts.js';
import { failureOf, stopped } from './failure.js';
import { helpOf, usageOf } from './help.js';
import { send } from './send.js';
import { status } from './status.js';
import { verify } from './verify.js';

export type { CommandWords, Output, TerminalIo } from './command.js';

const commands: Readonly<Record<string, Command>> = {
  send,
  verify,
  status,
  bulk,
  balance,
  completion: completionCommand(() => commands),
};

/** The lines of the usage text about these commands. */
export const terminalUsage = usageOf(commands);

/** Whether a word names a command that uses a gateway from a terminal. */
export function isTerminalCommand(name: string): boolean {
  return Object.hasOwn(commands, name);
}

/**
 * Runs one of these commands; resolves with the exit code, having written to `io` why where it is not 0. Rejects only for
 * a bug, and for a name that is no such command. Once `io.signal` aborts it ends, with 130.
 */
export async function runTerminal(name: string, args: string[], io: TerminalIo): Promise<number> {
  const command = isTerminalCommand(name) ? commands[name] : undefined;
  if (!command) throw new Error(`no command of the terminal: ${name}`);
  try {
    const call = readCall(name, command, args, io);
    if (!call.is('help')) return await command.run(call);
    io.stdout.write(`${helpOf(command)}\n`);
    return 0;
  } catch (error) {
    const failure = io.signal.aborted ? stopped(command.whenStopped ?? '') : failureOf(error);
    return complain(failure, { json: args.includes('--json'), stderr: io.stderr });
  }
}

/** A script by which a shell completes the commands of this room and these others; for `isms-otp completion`. */
export function completionScript(shell: Shell, others: readonly CommandWords[]): string {
  return scriptFor(shell, [...wordsOf(commands), ...others]);
}

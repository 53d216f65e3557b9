import { type Command, CommanderError } from 'commander';
import { type CommandLineIo, createProgram, renamedCommands } from './commands.js';

/** Runs one command line; resolves with its exit code, for a process that goes on: once it runs. */
export async function runCommandLine(args: readonly string[], io: CommandLineIo): Promise<number> {
  let exitCode = 0;
  const program = createProgram(io, (code) => {
    exitCode = code;
  });
  const { command, words, known } = findCommand(program, args[0] === 'help' ? args.slice(1) : args);
  try {
    if (!known) {
      const formerly = renamedCommands.get(words.join(' '));
      if (formerly) throw new Error(`isms-otp ${words.join(' ')} was renamed to isms-otp ${formerly}.`);
      // Without what follows: --help after an unknown command must not hide the mistake.
      await program.parseAsync(words, { from: 'user' });
    } else if (args[0] === 'help') {
      command.outputHelp();
    } else {
      await program.parseAsync([...args], { from: 'user' });
    }
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      io.stderr.write(`${explain(error)}\n`);
      return 1;
    }
    if (error.exitCode === 0 || error.code === 'commander.help') return error.exitCode;
    const problem = problemOf(error);
    const name = words.join(' ');
    if (usesGateway(command)) {
      const { complainOfUsage } = await import('../cli/call.js');
      return complainOfUsage({ json: args.includes('--json'), stderr: io.stderr }, problem, name);
    }
    const help = ['isms-otp', ...(known ? words : words.slice(0, -1)), '--help'].join(' ');
    io.stderr.write(`${problem}\nSee ${help}.\n`);
    return 1;
  }
}

/** The command that the leading words name; `known` is false if the last of `words` names none. */
function findCommand(
  program: Command,
  args: readonly string[],
): { command: Command; words: string[]; known: boolean } {
  let command = program;
  const words: string[] = [];
  for (const word of args) {
    if (command.commands.length === 0 || word.startsWith('-')) break;
    words.push(word);
    const next = command.commands.find((one) => one.name() === word);
    if (!next) return { command, words, known: false };
    command = next;
  }
  return { command, words, known: true };
}

/** Whether usage errors of a command have the form and exit code of the commands that use a gateway. */
function usesGateway(command: Command): boolean {
  return command.options.some(({ long }) => long === '--url') || command.name() === 'completion';
}

/** The message of a parse error in one line, with its suggestion. */
function problemOf({ message }: CommanderError): string {
  return message
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)$/, ', did you mean $1?')
    .replaceAll(/\s*\n\s*/g, ' ');
}

function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

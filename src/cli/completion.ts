import { type Command, commonFlags, defineCommand } from './command.js';
import { type Completable, scriptFor, shells } from './completion-scripts.js';
import { exitCodes } from './exit-codes.js';

/** Prints a script that completes commands and flags; `own`: the commands of this room, once all are known. */
export function completionCommand(own: () => Readonly<Record<string, Command>>): Command {
  return defineCommand({
    form: 'completion <shell>',
    says: `a script by which ${shells.join(', ')} completes commands and flags`,
    flags: {},
    words: shells,
    run: async (call) => {
      const [name, ...more] = call.words;
      const shell = shells.find((known) => known === name);
      if (!shell || more.length > 0) throw call.misused(`One of ${shells.join(', ')} is needed`);
      const script = scriptFor(shell, [...wordsOf(own()), ...(call.io.commands ?? [])]);
      call.answer({ shell, script }, script);
      return exitCodes.done;
    },
  });
}

/** The commands of a room, as they are completed. */
export function wordsOf(commands: Readonly<Record<string, Command>>): Completable[] {
  return Object.entries(commands).map(([name, { flags, words = [] }]) => ({
    name,
    flags: Object.keys({ ...flags, ...commonFlags }).map((flag) => `--${flag}`),
    words,
  }));
}

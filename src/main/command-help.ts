import type { Command } from 'commander';

/** The command of a group with only one; any other command itself. */
export function soleSubcommand(command: Command): Command {
  const [first, second] = command.commands;
  return first && !second ? first : command;
}

/** A command in the help of its parent: with its arguments, or the names of its commands. */
export function subcommandTerm(command: Command): string {
  const only = soleSubcommand(command);
  if (only !== command) return `${command.name()} ${subcommandTerm(only)}`;
  const names = command.commands.map((one) => one.name()).join('|');
  const args = command.registeredArguments.map((a) => (a.required ? `<${a.name()}>` : `[${a.name()}]`));
  return [command.name(), names, ...args].filter((word) => word !== '').join(' ');
}

import { type Command, commonFlags, type Flags } from './command.js';

const firstColumn = 30;

/** How a command is called, and its flags. */
export function helpOf({ form, says, flags }: Command): string {
  const all: Flags = { ...flags, ...commonFlags };
  const lines = Object.entries(all).map(([name, { takes, says: what }]) =>
    `  ${`--${name}${takes === undefined ? '' : ` <${takes}>`}`.padEnd(firstColumn)}${what}`.trimEnd(),
  );
  return [`usage: isms-otp ${form}`, '', `  ${says}`, '', ...lines, '', 'See docs/command-line.md.'].join(
    '\n',
  );
}

/** A line of the usage text for each command. */
export function usageOf(commands: Readonly<Record<string, Command>>): string {
  return Object.values(commands)
    .map(({ form, says }) => `  ${form.padEnd(firstColumn - 1)}  ${says}`)
    .join('\n');
}

/** What a command has to say: to people, and to programs (`--json`). */
export interface CommandOutput {
  text: string;
  data: unknown;
}

/** The same words for both. */
export function output(text: string): CommandOutput {
  return { text, data: { message: text } };
}

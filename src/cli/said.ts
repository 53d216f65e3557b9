/** What a command has to say: to people, and to programs (`--json`). */
export interface Said {
  text: string;
  data: unknown;
}

/** The same words for both. */
export function said(text: string): Said {
  return { text, data: { message: text } };
}

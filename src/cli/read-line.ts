import { createInterface } from 'node:readline';
import type { TerminalIo } from './command.js';

/** The first line of stdin, without spaces around it, asked for on stderr; empty when there is none. */
export async function readLine(
  { stdin, stderr, signal }: Pick<TerminalIo, 'stdin' | 'stderr' | 'signal'>,
  question: string,
): Promise<string> {
  stderr.write(question);
  const lines = createInterface({ input: stdin, signal });
  try {
    for await (const line of lines) return line.trim();
    signal.throwIfAborted();
    return '';
  } finally {
    lines.close();
  }
}

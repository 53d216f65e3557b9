import { isUtf8 } from 'node:buffer';
import { whole } from './body.js';

/** The longest line of an upload, and the longest OTP of a JSON document. */
export const longestLineBytes = 16 * 1_024;

/** One line as it came, or why it cannot be read; null: there is nothing on it. */
export type ReadLine = { json: unknown } | { problem: string } | null;

const newline = 0x0a;

/**
 * The lines of a body (newline-delimited JSON), as many at a time as arrived, each parsed when it is asked for: take all
 * before the next ones. Holds one line at most.
 */
export async function* readLines(body: AsyncIterable<Buffer>): AsyncGenerator<Iterable<ReadLine>> {
  let begun: Buffer[] = [];
  let size = 0;
  const keep = (part: Buffer) => {
    size += part.length;
    // What is too long is dropped as it comes.
    if (size <= longestLineBytes) begun.push(part);
  };
  const end = (): ReadLine => {
    const line =
      size > longestLineBytes
        ? { problem: `A line may have ${longestLineBytes} bytes.` }
        : parse(begun.length === 1 && begun[0] ? begun[0] : Buffer.concat(begun));
    begun = [];
    size = 0;
    return line;
  };
  const linesOf = function* (chunk: Buffer): Generator<ReadLine> {
    let from = 0;
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
      keep(chunk.subarray(from, at));
      yield end();
      from = at + 1;
    }
    keep(chunk.subarray(from));
  };
  for await (const chunk of whole(body)) yield linesOf(chunk);
  if (size > 0) yield [end()];
}

function parse(line: Buffer): ReadLine {
  const text = line.toString('utf8').trim();
  if (text === '') return null;
  if (!isUtf8(line)) return { problem: 'The line is not UTF-8.' };
  try {
    return { json: JSON.parse(text) };
  } catch {
    return { problem: 'The line is not JSON.' };
  }
}

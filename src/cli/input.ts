import { createHash, type Hash } from 'node:crypto';
import { extname } from 'node:path';
import { setImmediate as othersTurn } from 'node:timers/promises';
import { readCsv } from './csv-input.js';
import type { InputLine } from './input-line.js';
import { inputError, textOf } from './input-text.js';
import { readNdjson } from './ndjson-input.js';

/** What is known of a file of OTPs once it was read through. */
export interface InputFacts {
  sha256: string;
  /** OTPs in it. */
  lines: number;
}

const readers: Readonly<Record<string, (text: Iterable<string>) => Generator<InputLine, void>>> = {
  '.csv': readCsv,
  '.ndjson': readNdjson,
  '.jsonl': readNdjson,
};

const linesAtATime = 1_000;

/** The OTPs of a file, read as they are taken. Throws a CommandError for what is no such file. */
export function readInput(file: string, hash?: Hash): Generator<InputLine, void> {
  const read = readers[extname(file).toLowerCase()];
  if (!read) throw inputError('The name of the file must end in .csv, .ndjson or .jsonl', '');
  return read(textOf(file, hash));
}

/** Reads a file to its end, so that nothing of one that is malformed is sent. */
export async function inspectInput(file: string, signal: AbortSignal): Promise<InputFacts> {
  const hash = createHash('sha256');
  let lines = 0;
  for (const _ of readInput(file, hash)) {
    lines += 1;
    if (lines % linesAtATime === 0) await othersTurn(undefined, { signal });
  }
  if (lines === 0) throw inputError('There is no OTP in the file', '');
  return { sha256: hash.digest('hex'), lines };
}

import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { extname } from 'node:path';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { OtpInput } from 'isms-otp-client';
import { type InputLine, readCsv } from './csv.js';
import { inputError } from './failure.js';

/** Facts about a file of OTPs that was read to its end. */
export interface InputFacts {
  sha256: string;
  /** Number of OTPs. */
  lines: number;
}

const readers: Readonly<Record<string, (text: Iterable<string>) => Generator<InputLine, void>>> = {
  '.csv': readCsv,
  '.ndjson': readNdjson,
  '.jsonl': readNdjson,
};

const bytesAtATime = 65_536;
const linesAtATime = 1_000;
/** Longest NDJSON line, so that a file without line ends cannot fill the memory; the gateway accepts 16 KiB. */
const longestLine = 65_536;

/** Reads the OTPs of a file as they are consumed. Throws a CommandError for a malformed file. */
export function readInput(file: string, hash?: Hash): Generator<InputLine, void> {
  const read = readers[extname(file).toLowerCase()];
  if (!read) throw inputError('The name of the file must end in .csv, .ndjson or .jsonl', '');
  return read(readText(file, hash));
}

/** Reads a file to its end, so that a malformed file is rejected before anything is sent. */
export async function inspectInput(file: string, signal: AbortSignal): Promise<InputFacts> {
  const hash = createHash('sha256');
  let lines = 0;
  for (const _ of readInput(file, hash)) {
    lines += 1;
    if (lines % linesAtATime === 0) await yieldToOthers(undefined, { signal });
  }
  if (lines === 0) throw inputError('The file has no OTP', '');
  return { sha256: hash.digest('hex'), lines };
}

/**
 * Reads UTF-8 text piece by piece, without its byte order mark; `hash` sees every byte. Synchronous, because the client
 * packs only lines together that are there at once: a million lines took 5 s this way, and 52 s one by one (measured).
 */
function* readText(file: string, hash?: Hash): Generator<string, void> {
  const decode = utf8Decoder();
  const descriptor = readable(() => openSync(file, 'r'));
  try {
    const buffer = Buffer.alloc(bytesAtATime);
    for (;;) {
      const length = readable(() => readSync(descriptor, buffer));
      const bytes = buffer.subarray(0, length);
      hash?.update(bytes);
      yield decode(bytes);
      if (length === 0) return;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Decodes piece by piece; an empty piece ends the text. */
function utf8Decoder(): (bytes: Buffer) => string {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  return (bytes) => {
    try {
      return decoder.decode(bytes, { stream: bytes.length > 0 });
    } catch {
      throw inputError('The file is not UTF-8', 'save it as UTF-8 (spreadsheets: "CSV UTF-8")');
    }
  };
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw inputError(`The file cannot be read: ${code}`, 'check its path and its permissions');
  }
}

/** Reads one JSON object a line and skips empty lines. The gateway validates the members. */
function* readNdjson(text: Iterable<string>): Generator<InputLine, void> {
  let line = 0;
  for (const content of linesOf(text)) {
    line += 1;
    if (content.trim() !== '') yield { line, otp: objectOf(content, line) };
  }
}

/** Splits at `\n` only: JSON may contain other characters that are called line ends. */
function* linesOf(text: Iterable<string>): Generator<string, void> {
  let begun = '';
  for (const piece of text) {
    const lines = `${begun}${piece}`.split('\n');
    begun = lines.pop() ?? '';
    yield* lines;
    if (begun.length > longestLine) throw inputError('A line is longer than 64 KiB', '');
  }
  if (begun !== '') yield begun;
}

function objectOf(content: string, line: number): OtpInput {
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as OtpInput;
  } catch {
    // The error below names the line without its content.
  }
  throw inputError(
    `Line ${line} is not a JSON object`,
    'write one OTP a line, such as {"to": "+60123456789"}',
  );
}

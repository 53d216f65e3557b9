import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { extname } from 'node:path';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { CsvError, Parser } from 'csv-parse';
import type { OtpInput } from 'isms-otp-client';
import { CommandError } from './failure.js';

const readers: Readonly<Record<string, (text: Iterable<string>) => Generator<InputLine, void>>> = {
  '.csv': readCsv,
  '.ndjson': readNdjson,
  '.jsonl': readNdjson,
};

const bytesAtATime = 65_536;
const linesAtATime = 1_000;
/** Longest line, so that a missing line end or an open quote cannot fill the memory; the gateway accepts 16 KiB. */
const longestLine = 65_536;

/** Reads the OTPs of a file as they are consumed. Throws a CommandError for a malformed file. */
export function readInput(file: string, hash?: Hash): Generator<InputLine, void> {
  const read = readers[extname(file).toLowerCase()];
  if (!read) throw inputError('The name of the file must end in .csv, .ndjson or .jsonl', '');
  return read(readText(file, hash));
}

/** Reads a file to its end and counts its OTPs, so that a malformed file is rejected before anything is sent. */
export async function inspectInput(file: string, signal: AbortSignal) {
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
    if (content.trim() === '') continue;
    const otp = jsonObject(content);
    const advice = 'write one OTP a line, such as {"to": "+60123456789"}';
    if (!otp) throw inputError(`Line ${line} is not a JSON object`, advice);
    yield { line, otp: otp as OtpInput };
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

/** The object of a JSON text; null for any other text. The error of `JSON.parse` would quote it. */
export function jsonObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** An OTP of a file. */
interface InputLine {
  /** Number of the line from 1; of CSV the row as spreadsheets number it, the header being row 1. */
  line: number;
  otp: OtpInput;
}

const textColumns = [
  ...['to', 'message', 'template', 'locale', 'purpose'],
  ...['senderId', 'reference', 'clientIp', 'binding'],
];
const numberColumns = ['ttlSeconds', 'sendDeadlineSeconds', 'maxAttempts'];
const columns = [...textColumns, ...numberColumns];
/** Columns of members that are objects: one for each kind of limit key, and for each variable of the template. */
const innerColumn = /^(?:limitKeys\.[a-z][a-z_-]*|variables\.[a-z][A-Za-z0-9_]*)$/;

/** Reads CSV (RFC 4180) under a header that names members of an OTP. Skips empty cells and rows. */
function* readCsv(text: Iterable<string>): Generator<InputLine, void> {
  let row = 0;
  let header: string[] | null = null;
  for (const cells of rowsOf(text)) {
    row += 1;
    if (cells.every((cell) => cell.trim() === '')) continue;
    if (header) yield { line: row, otp: otpOf(header, cells, row) };
    else header = headerOf(cells);
  }
}

/** The cells of each row. */
function* rowsOf(text: Iterable<string>): Generator<string[], void> {
  const delimiters = ['\r\n', '\n'];
  const limits = { relax_column_count: true, max_record_size: longestLine };
  const parser = new Parser({ ...limits, record_delimiter: delimiters }).on('error', () => {});
  let unfinished = 0;
  for (const piece of text) {
    parser.write(piece);
    unfinished += piece.length;
    for (const cells of parsedRows(parser)) {
      unfinished = 0;
      yield cells;
    }
    // The parser's own limit does not count empty cells.
    if (unfinished > longestLine) throw rowTooLong();
  }
  parser.end();
  yield* parsedRows(parser);
}

/** The parser is a stream that parses what it is given at once. */
function* parsedRows(parser: Parser): Generator<string[], void> {
  for (let cells = parser.read(); cells !== null; cells = parser.read()) yield cells;
  if (parser.errored) throw csvError(parser.errored);
}

const rowTooLong = () => inputError('A row is longer than 64 KiB', 'check its quotes');

/** The library's own errors may quote a row and its phone number. */
function csvError(error: Error): Error {
  if (!(error instanceof CsvError)) return error;
  if (error.code === 'CSV_MAX_RECORD_SIZE') return rowTooLong();
  return inputError(`Row ${Number(error['records']) + 1} is not CSV`, 'check its quotes');
}

function headerOf(cells: string[]): string[] {
  const names = cells.map((cell) => cell.trim());
  const unknown = names.filter((name) => !columns.includes(name) && !innerColumn.test(name));
  const known = `known columns are ${columns.join(', ')}, limitKeys.<kind>, variables.<name>`;
  if (unknown.length > 0) throw inputError(`Unknown column: ${unknown.map(shown).join(', ')}`, known);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw inputError(`The header has the column ${twice} twice`, '');
  if (!names.includes('to')) throw inputError('The header has no column "to"', known);
  return names;
}

/** A file without a header begins with a phone number. */
function shown(name: string): string {
  return /\d{5}/.test(name) ? '(a number: is the first row the header?)' : JSON.stringify(name.slice(0, 40));
}

function otpOf(header: readonly string[], cells: readonly string[], row: number): OtpInput {
  if (cells.length > header.length) {
    const problem = `Row ${row} has ${cells.length} cells, the header has ${header.length}`;
    throw inputError(problem, 'quote cells that contain a comma');
  }
  const members: Record<string, unknown> = {};
  for (const [i, name] of header.entries()) {
    const cell = cells[i] ?? '';
    if (cell.trim() === '') continue;
    const [member = '', inner] = name.split('.');
    if (inner === undefined) members[member] = cellValue(name, cell);
    else members[member] = { ...(members[member] as object | undefined), [inner]: cell };
  }
  return members as unknown as OtpInput;
}

/** Leaves text in a number column as it is: the gateway rejects that row with its reason. */
function cellValue(name: string, cell: string): string | number {
  return numberColumns.includes(name) && /^\s*\d{1,9}\s*$/.test(cell) ? Number(cell) : cell;
}

/** A file that cannot be uploaded. */
function inputError(problem: string, advice: string): CommandError {
  return new CommandError('input', problem, `${advice === '' ? '' : `${advice}; `}nothing was sent`);
}

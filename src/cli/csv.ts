import { CsvError } from 'csv-parse';
import { parse } from 'csv-parse/sync';
import type { OtpInput } from 'isms-otp-client';
import { inputError } from './failure.js';

/** An OTP of a file. */
export interface InputLine {
  /** Number of the line from 1; of CSV the row as spreadsheets number it, the header being row 1. */
  line: number;
  otp: OtpInput;
}

const textColumns = ['to', 'message', 'template', 'locale', 'purpose', 'senderId', 'reference', 'clientIp'];
const numberColumns = ['ttlSeconds', 'sendDeadlineSeconds', 'maxAttempts'];
const columns = [...textColumns, ...numberColumns];

/** Longest row, so that an open quote cannot fill the memory. */
const longestRow = 65_536;

/** Reads CSV (RFC 4180) under a header that names members of an OTP. Skips empty cells and rows. */
export function* readCsv(text: Iterable<string>): Generator<InputLine, void> {
  let row = 0;
  let header: string[] | null = null;
  for (const rows of wholeRows(text)) {
    for (const cells of cellsOf(rows, row)) {
      row += 1;
      if (cells.every((cell) => cell.trim() === '')) continue;
      if (header) yield { line: row, otp: otpOf(header, cells, row) };
      else header = headerOf(cells);
    }
  }
}

/** Cuts the text where a row ends: at a line end with an even number of quotes before it. */
function* wholeRows(text: Iterable<string>): Generator<string, void> {
  let begun = '';
  for (const piece of text) {
    const known = begun + piece;
    const end = endOfRows(known);
    if (end > 0) yield known.slice(0, end);
    begun = known.slice(end);
    if (begun.length > longestRow) throw inputError('A row is longer than 64 KiB', 'check its quotes');
  }
  if (begun !== '') yield begun;
}

function endOfRows(text: string): number {
  let end = 0;
  let quotes = 0;
  for (const { 0: found, index } of text.matchAll(/["\n]/g)) {
    if (found === '"') quotes += 1;
    else if (quotes % 2 === 0) end = index + 1;
  }
  return end;
}

/** The cells of each row. The library's own errors may quote a row and its phone number. */
function cellsOf(rows: string, before: number): string[][] {
  try {
    return parse(rows, { relax_column_count: true, record_delimiter: ['\r\n', '\n'] });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const within = typeof error['records'] === 'number' ? error['records'] : 0;
    throw inputError(`Row ${before + within + 1} is not CSV`, 'check its quotes');
  }
}

function headerOf(cells: string[]): string[] {
  const names = cells.map((cell) => cell.trim());
  const unknown = names.filter((name) => !columns.includes(name));
  const known = `known columns are ${columns.join(', ')}`;
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
  const members = header.flatMap((name, i) => {
    const cell = cells[i] ?? '';
    return cell.trim() === '' ? [] : [[name, cellValue(name, cell)]];
  });
  return Object.fromEntries(members);
}

/** Leaves text in a number column as it is: the gateway rejects that row with its reason. */
function cellValue(name: string, cell: string): string | number {
  return numberColumns.includes(name) && /^\s*\d{1,9}\s*$/.test(cell) ? Number(cell) : cell;
}

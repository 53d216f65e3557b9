import { CsvError } from 'csv-parse';
import { parse } from 'csv-parse/sync';
import { inputError } from './input-text.js';

/** An open quote must not fill the memory. */
const longestRow = 65_536;

/** The cells of each row of CSV (RFC 4180); an empty row has one empty cell. Holds the rows of one piece at most. */
export function* csvRows(text: Iterable<string>): Generator<string[], void> {
  let row = 0;
  for (const whole of wholeRows(text)) {
    for (const cells of cellsOf(whole, row)) {
      row += 1;
      yield cells;
    }
  }
}

/** Cut where a row ends: at a line end with an even number of quotes before it. */
function* wholeRows(text: Iterable<string>): Generator<string, void> {
  let begun = '';
  for (const piece of text) {
    const known = begun + piece;
    const end = endOfRows(known);
    if (end > 0) yield known.slice(0, end);
    begun = known.slice(end);
    if (begun.length > longestRow) throw inputError('A row is longer than 64 KiB', 'see its quotes');
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

/** How many cells a row may have is the header's to say. */
const options = { relax_column_count: true, record_delimiter: ['\r\n', '\n'] };

/** The library's own words may quote the row, and with it a phone number. */
function cellsOf(rows: string, before: number): string[][] {
  try {
    return parse(rows, options);
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const within = typeof error['records'] === 'number' ? error['records'] : 0;
    throw inputError(`Row ${before + within + 1} is no CSV`, 'see its quotes');
  }
}

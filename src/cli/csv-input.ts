import type { OtpInput } from 'isms-otp-client';
import { csvRows } from './csv-rows.js';
import type { InputLine } from './input-line.js';
import { inputError } from './input-text.js';

const textColumns = ['to', 'message', 'template', 'locale', 'purpose', 'senderId', 'reference', 'clientIp'];
const numberColumns = ['ttlSeconds', 'sendDeadlineSeconds', 'maxAttempts'];
const columns = [...textColumns, ...numberColumns];

/** OTPs, a row each, under a header that names their members. Empty cells are left out, empty rows passed over. */
export function* readCsv(text: Iterable<string>): Generator<InputLine, void> {
  let row = 0;
  let header: string[] | null = null;
  for (const cells of csvRows(text)) {
    row += 1;
    if (cells.every((cell) => cell.trim() === '')) continue;
    if (header) yield { line: row, otp: otpOf(header, cells, row) };
    else header = headerOf(cells);
  }
}

function headerOf(cells: string[]): string[] {
  const names = cells.map((cell) => cell.trim());
  const unknown = names.filter((name) => !columns.includes(name));
  const known = `known are ${columns.join(', ')}`;
  if (unknown.length > 0) throw inputError(`Unknown column: ${unknown.map(shown).join(', ')}`, known);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw inputError(`The column ${twice} stands twice`, '');
  if (!names.includes('to')) throw inputError('There is no column "to"', known);
  return names;
}

/** A file without a header begins with somebody's number. */
function shown(name: string): string {
  return /\d{5}/.test(name) ? '(a number: is the first row the header?)' : JSON.stringify(name.slice(0, 40));
}

function otpOf(header: readonly string[], cells: readonly string[], row: number): OtpInput {
  if (cells.length > header.length) {
    const problem = `Row ${row} has ${cells.length} cells, the header has ${header.length}`;
    throw inputError(problem, 'quote what holds a comma');
  }
  const members = header.flatMap((name, i) => {
    const cell = cells[i] ?? '';
    return cell.trim() === '' ? [] : [[name, cellValue(name, cell)]];
  });
  return Object.fromEntries(members);
}

/** What is no number is left to the gateway, which refuses this row and says why. */
function cellValue(name: string, cell: string): string | number {
  return numberColumns.includes(name) && /^\s*\d{1,9}\s*$/.test(cell) ? Number(cell) : cell;
}

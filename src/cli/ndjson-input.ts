import type { OtpInput } from 'isms-otp-client';
import type { InputLine } from './input-line.js';
import { inputError } from './input-text.js';

/** The gateway takes 16 KiB; a file without line ends must not fill the memory. */
const longestLine = 65_536;

/** OTPs, one JSON object a line; empty lines are passed over. What is in them is the gateway's to judge. */
export function* readNdjson(text: Iterable<string>): Generator<InputLine, void> {
  let line = 0;
  for (const content of linesOf(text)) {
    line += 1;
    if (content.trim() !== '') yield { line, otp: objectOf(content, line) };
  }
}

/** Without their ends. Only `\n` ends one: JSON may hold what else is called a line end. */
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
  const value = parsed(content);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as OtpInput;
  throw inputError(`Line ${line} is no JSON object`, 'write one OTP a line, such as {"to": "+60123456789"}');
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return null;
  }
}

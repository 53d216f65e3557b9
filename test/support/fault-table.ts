import { appendFileSync } from 'node:fs';

/** Whether the promised sizes run (`npm run test:faults`), or a small edition of each. */
export const full = process.env['FAULTS'] === 'full';

/** A promised time, in milliseconds, at full size; at small size, which runs on busy machines too, none. */
export const promisedMs = (ms: number) => (full ? ms : Number.POSITIVE_INFINITY);

/** Adds a line to the table that `npm run test:faults` prints: what was tried, found and promised. */
export function faultRow(tried: string, found: object, promised: string): void {
  const file = process.env['FAULTS_TABLE'];
  if (file !== undefined)
    appendFileSync(file, `${JSON.stringify({ tried, found: words(found), promised })}\n`);
}

/** `{sent: 3, mostCalls: 1}` as `sent 3, most calls 1`. */
function words(found: object): string {
  return Object.entries(found)
    .map(([name, value]) => {
      const label = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
      const text = typeof value === 'number' ? value.toLocaleString('en-US') : JSON.stringify(value);
      return `${label} ${text.replaceAll('"', '')}`;
    })
    .join(', ');
}

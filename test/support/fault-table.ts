import { appendFileSync } from 'node:fs';

/** Whether the promised sizes run (`npm run test:faults`), or a small edition of each. */
export const full = process.env['FAULTS'] === 'full';

/** A promised time, in milliseconds, at full size; at small size, which runs on busy machines too, none. */
export const promisedMs = (ms: number) => (full ? ms : Number.POSITIVE_INFINITY);

/** The id of a row in docs/promises.md. */
type PromiseId = `${'S' | 'V' | 'D' | 'A' | 'I'}${number}`;

/** Adds a row to the table that `npm run test:faults` prints. */
export function faultRow(scenario: string, result: object, promise: PromiseId): void {
  const file = process.env['FAULTS_TABLE'];
  if (file !== undefined)
    appendFileSync(file, `${JSON.stringify({ scenario, result: words(result), promise })}\n`);
}

/** `{sent: 3, mostCalls: 1}` as `sent 3, most calls 1`. */
function words(result: object): string {
  return Object.entries(result)
    .map(([name, value]) => {
      const label = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
      const text = typeof value === 'number' ? value.toLocaleString('en-US') : JSON.stringify(value);
      return `${label} ${text.replaceAll('"', '')}`;
    })
    .join(', ');
}

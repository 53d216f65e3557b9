import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { request } from 'undici';
import { message } from './gateway.js';
import { jsonHeaders } from './gateway-processes.js';
import { nthNational } from './numbers.js';
import { notAccepted } from './upload.js';

const linesPerChunk = 500;

/** An upload of `count` lines, made while it is sent, so that no million of lines is held. */
function* lines(count: number): Generator<string> {
  for (let first = 0; first < count; first += linesPerChunk) {
    const size = Math.min(linesPerChunk, count - first);
    yield Array.from(
      { length: size },
      (_, i) => `${JSON.stringify({ to: `+60${nthNational(first + i)}`, message })}\n`,
    ).join('');
  }
}

/** Uploads `count` OTPs and reads the answer line by line; throws unless all of them were accepted. */
export async function streamUp(url: string, count: number): Promise<void> {
  const { statusCode, body } = await request(`${url}/v1/otps/bulk`, {
    method: 'POST',
    headers: { ...jsonHeaders, 'content-type': 'application/x-ndjson' },
    body: Readable.from(lines(count), { objectMode: false }),
    bodyTimeout: 60_000,
  });
  if (statusCode !== 202) throw notAccepted(statusCode, await body.text());
  let accepted = 0;
  let last = '';
  for await (const line of createInterface({ input: body })) {
    if (line.includes('"id"')) accepted += 1;
    last = line;
  }
  if (accepted !== count || !last.startsWith('{"summary"'))
    throw new Error(`${accepted} of ${count} accepted; the last line was ${last}`);
}

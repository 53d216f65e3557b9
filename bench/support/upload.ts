import { Pool } from 'undici';
import { message } from './gateway.js';
import { jsonHeaders } from './gateway-processes.js';
import { nthNational } from './numbers.js';
import type { Stand } from './stand.js';

/** The most OTPs that one JSON upload may have. */
export const perUpload = 10_000;

const path = '/v1/otps/bulk';

/** An upload's body, made up before the clock starts, and how many OTPs are in it. */
export interface Upload {
  body: string;
  count: number;
}

/** Uploads of `count` OTPs, each to a number of its own from the `from`-th on. */
export function uploads(count: number, from = 0): Upload[] {
  return Array.from({ length: Math.ceil(count / perUpload) }, (_, i) => {
    const first = i * perUpload;
    return makeUpload(from + first, Math.min(perUpload, count - first));
  });
}

function makeUpload(from: number, count: number): Upload {
  const otps = Array.from({ length: count }, (_, i) => ({ to: `+60${nthNational(from + i)}` }));
  return { body: JSON.stringify({ defaults: { message }, otps }), count };
}

/** Why an upload was not taken, in plain words where this gateway has no such endpoint. */
export function notAccepted(status: number, text: string): Error {
  const missing = status === 404 || status === 405 ? 'the gateway has no bulk endpoint yet: ' : '';
  return new Error(`${missing}POST ${path} answered ${status}: ${text}`);
}

/** An API that takes uploads. */
export interface Uploader {
  /** Resolves when the upload is answered; throws when not all of it was accepted. */
  upload(upload: Upload): Promise<void>;
}

export function createUploader(stand: Stand, url: string): Uploader {
  const pool = stand.add(new Pool(url, { connections: 1 }), (open) => open.close());
  return {
    upload: async ({ body, count }) => {
      const answer = await pool.request({ method: 'POST', path, body, headers: jsonHeaders });
      const text = await answer.body.text();
      if (answer.statusCode !== 202) throw notAccepted(answer.statusCode, text);
      const { accepted } = JSON.parse(text) as { accepted: number };
      if (accepted !== count) throw new Error(`${accepted} of ${count} accepted: ${text.slice(0, 1_000)}`);
    },
  };
}

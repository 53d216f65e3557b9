import { Pool } from 'undici';
import { nowMs } from './clock.js';
import { apiKey, headersOf } from './gateway-processes.js';

/** A POST, made up before the clock starts. */
export interface Call {
  path: string;
  body: string;
  /** Of the app that calls; the bench's usual one by default. */
  key?: string;
}

/** How a server is driven. */
export interface DriveOptions {
  /** Kept open, with one call at a time on each. */
  connections: number;
  /** The only status that counts as an answer; any other throws. */
  status: number;
}

/**
 * Makes all calls as fast as the server answers, from the process of the bench itself, which does nothing else then.
 * Answers how many were answered a second.
 */
export async function drive(origin: string, calls: readonly Call[], options: DriveOptions): Promise<number> {
  const { connections, status } = options;
  const pool = new Pool(origin, { connections, pipelining: 1 });
  const left = calls[Symbol.iterator]();
  const client = async () => {
    for (const call of left) await post(pool, call, status);
  };
  const began = nowMs();
  await Promise.all(Array.from({ length: connections }, client));
  const perSecond = (calls.length / (nowMs() - began)) * 1_000;
  await pool.close();
  return perSecond;
}

/** One call over a pool; throws when it is answered with another status. */
export async function post(pool: Pool, { path, body, key = apiKey }: Call, status: number): Promise<void> {
  const answer = await pool.request({ method: 'POST', path, body, headers: headersOf(key) });
  const text = await answer.body.text();
  if (answer.statusCode !== status) throw new Error(`POST ${path} answered ${answer.statusCode}: ${text}`);
}

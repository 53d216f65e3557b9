import { once } from 'node:events';
import { connect } from 'node:net';
import type { Pool } from 'undici';
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
  const texts = calls.map((call) => textOf(call, new URL(origin).host));
  const open = await Promise.all(Array.from({ length: connections }, () => openConnection(origin)));
  const left = texts.entries();
  const began = nowMs();
  await Promise.all(
    open.map(async ({ ask }) => {
      for (const [i, text] of left) {
        const answer = await ask(text);
        if (answer.status !== status) throw wrongStatus(calls[i]?.path ?? '', answer.status, answer.body);
      }
    }),
  );
  const perSecond = (calls.length / (nowMs() - began)) * 1_000;
  for (const { close } of open) close();
  return perSecond;
}

/** One call over a pool; throws when it is answered with another status. */
export async function post(pool: Pool, { path, body, key = apiKey }: Call, status: number): Promise<void> {
  const answer = await pool.request({ method: 'POST', path, body, headers: headersOf(key) });
  const text = await answer.body.text();
  if (answer.statusCode !== status) throw wrongStatus(path, answer.statusCode, text);
}

function wrongStatus(path: string, status: number, body: string): Error {
  return new Error(`POST ${path} answered ${status}: ${body}`);
}

function textOf({ path, body, key = apiKey }: Call, host: string): string {
  const headers = { host, ...headersOf(key), 'content-length': Buffer.byteLength(body) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`POST ${path} HTTP/1.1`, ...lines, '', body].join('\r\n');
}

interface Answer {
  status: number;
  body: string;
}

/** Takes a fifth of the CPU of an HTTP client: what is measured shares the processor. Knows answers with a length only. */
async function openConnection(origin: string) {
  const { hostname, port } = new URL(origin);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true }).setEncoding('latin1');
  await once(socket, 'connect');
  let unread = '';
  let waiting: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;
  const fail = (error: Error) => waiting?.reject(error);
  socket.on('error', fail).on('close', () => fail(new Error('the server closed a connection')));
  socket.on('data', (text: string) => {
    unread += text;
    const end = unread.indexOf('\r\n\r\n');
    if (end === -1) return;
    const length = /^content-length: (\d+)\r$/im.exec(unread.slice(0, end + 2))?.[1];
    if (length === undefined) return fail(new Error('an answer had no length'));
    const body = unread.slice(end + 4);
    if (body.length < Number(length)) return;
    const status = Number(unread.slice(9, 12));
    unread = '';
    waiting?.resolve({ status, body });
  });
  return {
    ask: (text: string) =>
      new Promise<Answer>((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(text);
      }),
    close: () => socket.removeAllListeners('close').destroy(),
  };
}

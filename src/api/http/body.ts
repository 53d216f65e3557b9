import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { startTimeout } from '../../lib/with-timeout.js';
import { ApiProblem, unreadable } from './problem.js';
import { headerOf } from './request.js';

/** Limit of a body that holds one object or one form. */
const defaultLimitBytes = 16 * 1_024;

/** The longest line of an upload, and the longest OTP of a JSON document. */
export const longestLineBytes = 16 * 1_024;

/** Lifts the deadline of a body. */
const lifts = new WeakMap<IncomingMessage, () => void>();

/**
 * Calls `late` unless the whole request arrives within `ms`. A deadline that `allowSlowBody` lifts begins anew with the
 * answer. What of the body arrives after the answer is dropped.
 */
export function beginBodyDeadline(res: ServerResponse, ms: number, late: () => void): void {
  const { req } = res;
  let cancel = () => {};
  let isLifted = false;
  const start = () => {
    cancel = startTimeout(ms, () => {
      if (!req.complete) late();
    });
  };
  lifts.set(req, () => {
    isLifted = true;
    cancel();
  });
  // Most bodies arrive with their headers, and need no deadline.
  process.nextTick(() => {
    if (req.complete) return;
    if (!isLifted) start();
    const stop = () => {
      cancel();
      req.socket.off('close', stop);
    };
    req.once('end', stop);
    // An answered request does not close with its socket.
    req.socket.once('close', stop);
    // Before Node's own listener, which would read the rest as fast as it comes.
    res.prependOnceListener('finish', () => {
      if (req.readableEnded) return;
      if (isLifted) start();
      dropBody(req);
    });
  });
}

/** Parts of a body that are dropped without a pause: 64 KB or more, unless they are chunks of less than 650 bytes. */
const partsAtATime = 100;
/** Ends with the turn of the event loop that was given to the last socket that waits. */
let lastTurn: Promise<void> = Promise.resolve();

/**
 * Drops the rest of a body as it arrives. After many parts, its socket waits for a turn of the event loop that no other
 * such socket has: bodies in one-byte chunks would keep the process busy for seconds (measured).
 */
function dropBody(req: IncomingMessage): void {
  if (req.readableEnded || Object.hasOwn(req, '_read')) return;
  const { socket } = req;
  let parts = 0;
  const drop = () => {
    parts += 1;
    if (parts < partsAtATime) return;
    socket.pause();
    if (parts > partsAtATime) return;
    lastTurn = lastTurn.then(async () => {
      await turn();
      parts = 0;
      socket.resume();
    });
  };
  // Else the request would resume its socket after each part. It also marks a body that is being dropped.
  req._read = () => {};
  req.on('data', drop);
  socket.resume();
}

/** How long an upload may be silent in either direction: an upload slowed to its app's limit pauses for 200 lines. */
const uploadSilenceMs = 600_000;

/** Lifts the deadline of a large body of a known app: until it is answered, only a long silence ends it. */
export function allowSlowBody(req: IncomingMessage, res: ServerResponse): void {
  lifts.get(req)?.();
  const { socket } = req;
  const usual = socket.timeout ?? 0;
  socket.setTimeout(uploadSilenceMs);
  res.once('close', () => {
    // Node has set the keep-alive time by then, unless a pipelined request follows.
    if (socket.timeout === uploadSilenceMs) socket.setTimeout(usual);
  });
}

/** A JSON body of at most 16 KiB; undefined without a body. Rejects broken UTF-8, which Node would replace silently. */
export async function readJson(req: IncomingMessage): Promise<unknown> {
  if (!hasBody(req)) return undefined;
  expectJson(req, defaultLimitBytes);
  const body = await readBytes(req, defaultLimitBytes);
  if (body.length === 0) return undefined;
  if (!isUtf8(body)) throw unreadable('The body is not UTF-8.');
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw unreadable('The body is not JSON.');
  }
}

/** The text of a large JSON body, part by part as it arrives; a consumer that stops early leaves the rest to be dropped. */
export async function* jsonText(
  { req, res }: { req: IncomingMessage; res: ServerResponse },
  limitBytes: number,
): AsyncGenerator<string> {
  expectJson(req, limitBytes);
  allowSlowBody(req, res);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let size = 0;
  try {
    for await (const part of whole(req.iterator({ destroyOnReturn: false }))) {
      size += part.length;
      if (size > limitBytes) throw tooLarge(limitBytes);
      yield decodedOr(() => decoder.decode(part, { stream: true }));
    }
    yield decodedOr(() => decoder.decode());
  } finally {
    dropBody(req);
  }
}

/** A line parsed as JSON, or the reason why it cannot be; null: a blank line. */
export type ReadLine = { json: unknown } | { problem: string } | null;

const newline = 0x0a;

/**
 * The lines of a body (newline-delimited JSON), in the portions in which they arrive, each parsed when the consumer takes
 * it. Take all lines of a portion before the next portion. Holds one line at most.
 */
export async function* readLines(body: AsyncIterable<Buffer>): AsyncGenerator<Iterable<ReadLine>> {
  let begun: Buffer[] = [];
  let size = 0;
  const keep = (part: Buffer) => {
    size += part.length;
    // A line that is too long is dropped as it arrives.
    if (size <= longestLineBytes) begun.push(part);
  };
  const end = (): ReadLine => {
    const line =
      size > longestLineBytes
        ? { problem: `The line is longer than ${longestLineBytes} bytes.` }
        : parseLine(begun.length === 1 && begun[0] ? begun[0] : Buffer.concat(begun));
    begun = [];
    size = 0;
    return line;
  };
  const linesOf = function* (chunk: Buffer): Generator<ReadLine> {
    let from = 0;
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
      keep(chunk.subarray(from, at));
      yield end();
      from = at + 1;
    }
    keep(chunk.subarray(from));
  };
  for await (const chunk of whole(body)) yield linesOf(chunk);
  if (size > 0) yield [end()];
}

function parseLine(line: Buffer): ReadLine {
  const text = line.toString('utf8').trim();
  if (text === '') return null;
  if (!isUtf8(line)) return { problem: 'The line is not UTF-8.' };
  try {
    return { json: JSON.parse(text) };
  } catch {
    return { problem: 'The line is not JSON.' };
  }
}

/** Turns a body that breaks off into the client's problem; unconverted, it looks like trouble with Redis. */
async function* whole(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch {
    throw unreadable('The body is incomplete.');
  }
}

function decodedOr(decode: () => string): string {
  try {
    return decode();
  } catch {
    throw unreadable('The body is not UTF-8.');
  }
}

function hasBody(req: IncomingMessage): boolean {
  return headerOf(req, 'Transfer-Encoding') !== '' || Number(headerOf(req, 'Content-Length')) !== 0;
}

/** Rejects other media types, and compressed bodies: none so small needs compression. */
function expectJson(req: IncomingMessage, limitBytes: number): void {
  if (!isMediaType(req, 'application/json')) throw new ApiProblem('unsupported_media_type');
  if (Number(headerOf(req, 'Content-Length')) > limitBytes) throw tooLarge(limitBytes);
}

/** A form (`application/x-www-form-urlencoded`) of at most 16 KiB. */
export async function readForm(req: IncomingMessage): Promise<URLSearchParams> {
  if (!isMediaType(req, 'application/x-www-form-urlencoded')) throw new ApiProblem('unsupported_media_type');
  return formOf(await readBytes(req, defaultLimitBytes), 'form');
}

/** The parameters of the URL's query. */
export function readQuery({ url = '' }: IncomingMessage): URLSearchParams {
  const [, query = ''] = /\?(.*)$/s.exec(url) ?? [];
  return formOf(Buffer.from(query), 'query');
}

/** Rejects bytes that are not UTF-8; URLSearchParams would replace them silently. */
function formOf(bytes: Buffer, what: 'form' | 'query'): URLSearchParams {
  const text = bytes.toString('utf8');
  if (!isUtf8(bytes) || !decodesToUtf8(text)) {
    throw unreadable(`The ${what} is not UTF-8. Encode text as UTF-8: é is %C3%A9, not %E9.`);
  }
  return new URLSearchParams(text);
}

function decodesToUtf8(text: string): boolean {
  try {
    // A percent sign without two hexadecimal digits stands for itself.
    decodeURIComponent(text.replace(/%(?![\da-f]{2})/gi, '%25'));
    return true;
  } catch {
    return false;
  }
}

/** Whether a body has this media type, in UTF-8 and not compressed. */
export function isMediaType(req: IncomingMessage, mediaType: string): boolean {
  const [, type = '', parameters = ''] = mediaTypeShape.exec(headerOf(req, 'Content-Type')) ?? [];
  const charset = /;\s*charset\s*=\s*"?([^\s";]*)/i.exec(parameters)?.[1] ?? 'utf-8';
  const encoding = headerOf(req, 'Content-Encoding') || 'identity';
  const isOfType = type === '' ? !hasBody(req) : type.toLowerCase() === mediaType;
  return isOfType && /^utf-?8$/i.test(charset) && encoding.toLowerCase() === 'identity';
}

/** RFC 9110 §8.3.1: a type, then parameters. */
const mediaTypeShape = /^\s*([\w!#$&^.+-]+\/[\w!#$&^.+-]+)\s*(;.*)?$/s;

/** Rejects as soon as the limit is passed; the rest of the body is dropped, within its deadline. */
async function readBytes(req: IncomingMessage, limitBytes: number): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const keep = (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limitBytes) chunks.push(chunk);
      else {
        dropBody(req.off('data', keep));
        reject(tooLarge(limitBytes));
      }
    };
    // A request that is cut off closes without `end`.
    const broken = () => reject(unreadable('The body is incomplete.'));
    req.once('error', broken).once('close', broken);
    req.on('data', keep).once('end', () => {
      // Every request closes in the end, and making an unused error takes 9 µs (measured).
      req.off('close', broken);
      resolve(Buffer.concat(chunks));
    });
  });
}

function tooLarge(limitBytes: number): ApiProblem {
  const detail = `The body is larger than ${limitBytes / 1_024} KiB.`;
  return new ApiProblem('body_too_large', { detail });
}

import { isUtf8 } from 'node:buffer';
import type { Request } from 'express';
import { allowSlowBody } from './body-deadline.js';
import { ApiProblem } from './problem.js';

/** Of a body that holds one thing. */
export const defaultLimitBytes = 16 * 1_024;

/**
 * A JSON body of at most 16 KiB; undefined when there is none. Broken UTF-8 is refused, since it would otherwise be patched
 * with replacement characters.
 */
export async function readJson(req: Request): Promise<unknown> {
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

/** The text of a larger JSON body, part by part as it arrives; whoever takes no more of it leaves the rest to be dropped. */
export async function* jsonText(req: Request, limitBytes: number): AsyncGenerator<string> {
  expectJson(req, limitBytes);
  if (req.res) allowSlowBody(req, req.res);
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
    req.resume();
  }
}

/** A body that breaks off is its sender's trouble, and looks like that of a connection of ours otherwise. */
export async function* whole(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch {
    throw unreadable('The body came incomplete.');
  }
}

function decodedOr(decode: () => string): string {
  try {
    return decode();
  } catch {
    throw unreadable('The body is not UTF-8.');
  }
}

function hasBody(req: Request): boolean {
  return req.get('Transfer-Encoding') !== undefined || Number(req.get('Content-Length') ?? 0) !== 0;
}

/** Compressed bodies are refused, since none that small needs it. */
function expectJson(req: Request, limitBytes: number): void {
  if (!isMediaType(req, 'application/json')) throw new ApiProblem('unsupported_media_type');
  if (Number(req.get('Content-Length') ?? 0) > limitBytes) throw tooLarge(limitBytes);
}

/** A form (`application/x-www-form-urlencoded`) of at most 16 KiB. */
export async function readForm(req: Request): Promise<URLSearchParams> {
  if (!isMediaType(req, 'application/x-www-form-urlencoded')) throw new ApiProblem('unsupported_media_type');
  return formOf(await readBytes(req, defaultLimitBytes), 'form');
}

/** The parameters of the URL's query. */
export function readQuery(req: Request): URLSearchParams {
  const [, query = ''] = /\?(.*)$/s.exec(req.originalUrl) ?? [];
  return formOf(Buffer.from(query), 'query');
}

/** URLSearchParams puts replacement characters where bytes are not UTF-8; these are refused instead. */
function formOf(bytes: Buffer, what: 'form' | 'query'): URLSearchParams {
  const text = bytes.toString('utf8');
  if (!isUtf8(bytes) || !decodesToUtf8(text)) {
    throw unreadable(`The ${what} is not UTF-8. Encode text as UTF-8: é is %C3%A9, not %E9.`);
  }
  return new URLSearchParams(text);
}

function decodesToUtf8(text: string): boolean {
  try {
    // A percent sign that encodes nothing stands for itself.
    decodeURIComponent(text.replace(/%(?![\da-f]{2})/gi, '%25'));
    return true;
  } catch {
    return false;
  }
}

/** Whether a body is of this type, in UTF-8 and as it is. */
export function isMediaType(req: Request, mediaType: string): boolean {
  const charset = /;\s*charset\s*=\s*"?([^\s";]*)/i.exec(req.get('Content-Type') ?? '')?.[1] ?? 'utf-8';
  const encoding = req.get('Content-Encoding') ?? 'identity';
  return req.is(mediaType) !== false && /^utf-?8$/i.test(charset) && encoding.toLowerCase() === 'identity';
}

/** Answers as soon as it is too much; Node reads on and drops the rest, within the server's own time-out. */
async function readBytes(req: Request, limitBytes: number): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const keep = (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limitBytes) chunks.push(chunk);
      else {
        req.off('data', keep).resume();
        reject(tooLarge(limitBytes));
      }
    };
    // A request that is cut off closes without an end.
    const broken = () => reject(unreadable('The body came incomplete.'));
    req.once('error', broken).once('close', broken);
    req.on('data', keep).once('end', () => {
      // Every request closes at last, and an error that nobody needs takes 9 µs to make (measured).
      req.off('close', broken);
      resolve(Buffer.concat(chunks));
    });
  });
}

function tooLarge(limitBytes: number): ApiProblem {
  const detail = `The body is larger than ${limitBytes / 1_024} KiB.`;
  return new ApiProblem('body_too_large', { detail });
}

function unreadable(detail: string): ApiProblem {
  return new ApiProblem('invalid_request', { detail });
}

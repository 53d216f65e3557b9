import { isUtf8 } from 'node:buffer';
import type { Request } from 'express';
import { ApiProblem } from './problem.js';

const limitBytes = 16 * 1_024;

/**
 * A JSON body of at most 16 KiB; undefined when there is none. Compressed bodies are refused, since none that small
 * needs it, and so is broken UTF-8, which would otherwise be patched with replacement characters.
 */
export async function readJson(req: Request): Promise<unknown> {
  const announced = req.get('Content-Length');
  const chunked = req.get('Transfer-Encoding') !== undefined;
  if (!chunked && Number(announced ?? 0) === 0) return undefined;
  if (!isPlainJson(req)) throw new ApiProblem('unsupported_media_type');
  if (Number(announced ?? 0) > limitBytes) throw new ApiProblem('body_too_large');
  const body = await readBytes(req);
  if (body.length === 0) return undefined;
  if (!isUtf8(body)) throw unreadable('The body is not UTF-8.');
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw unreadable('The body is not JSON.');
  }
}

function isPlainJson(req: Request): boolean {
  const charset = /;\s*charset\s*=\s*"?([^\s";]*)/i.exec(req.get('Content-Type') ?? '')?.[1] ?? 'utf-8';
  const encoding = req.get('Content-Encoding') ?? 'identity';
  return (
    req.is('application/json') !== false && /^utf-?8$/i.test(charset) && encoding.toLowerCase() === 'identity'
  );
}

/** Answers as soon as it is too much; Node reads on and drops the rest, within the server's own time-out. */
async function readBytes(req: Request): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of req.iterator({ destroyOnReturn: false })) {
      size += chunk.length;
      if (size > limitBytes) break;
      chunks.push(chunk);
    }
  } catch {
    throw unreadable('The body came incomplete.');
  }
  if (size > limitBytes) throw new ApiProblem('body_too_large');
  return Buffer.concat(chunks);
}

function unreadable(detail: string): ApiProblem {
  return new ApiProblem('invalid_request', { detail });
}

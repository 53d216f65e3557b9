import type { ServerResponse } from 'node:http';

interface HttpReply {
  kind: 'reply';
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** The reply to a call, or how it fails. */
export type Answer =
  | HttpReply
  /** A good reply after `pace.slowMs`. */
  | { kind: 'slow'; body: string }
  /** A good reply, one byte every `pace.trickleMs`. */
  | { kind: 'trickle'; body: string }
  /** Headers that promise the whole body, half of it, then a reset. */
  | { kind: 'cut_off'; body: string }
  | { kind: 'reset' }
  | { kind: 'hang' };

/** Delays of the slow numbers. */
export interface Pace {
  /** Delay of a slow reply, in milliseconds. Default: 5,000. */
  slowMs: number;
  /** Delay between the bytes of a trickling reply, in milliseconds. Default: 1,000. */
  trickleMs: number;
}

/** A JSON body with HTTP 200, with which iSMS answers failures as well. */
export function reply(body: string): HttpReply {
  return { kind: 'reply', status: 200, headers: { 'content-type': 'application/json' }, body };
}

/** A web page, as proxies and maintenance modes return. */
export function page(status: number, title: string, headers: Record<string, string> = {}): HttpReply {
  const body = `<!doctype html><html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>\n`;
  return { kind: 'reply', status, headers: { 'content-type': 'text/html', ...headers }, body };
}

/** Sends an answer after `delayMs`, unless the client disconnects first. */
export function give(res: ServerResponse, answer: Answer, delayMs: number, pace: Pace): void {
  const totalMs = answer.kind === 'slow' ? delayMs + pace.slowMs : delayMs;
  if (totalMs === 0) {
    act(res, answer, pace);
    return;
  }
  const timer = setTimeout(() => act(res, answer, pace), totalMs);
  res.once('close', () => clearTimeout(timer));
}

function act(res: ServerResponse, answer: Answer, pace: Pace): void {
  switch (answer.kind) {
    case 'reply':
      finish(res, answer);
      break;
    case 'slow':
      finish(res, reply(answer.body));
      break;
    case 'trickle':
      trickle(res, answer.body, pace.trickleMs);
      break;
    case 'cut_off':
      cutOff(res, answer.body);
      break;
    case 'reset':
      res.socket?.resetAndDestroy();
      break;
    case 'hang':
      break;
  }
}

function finish(res: ServerResponse, { status, headers, body }: HttpReply): void {
  res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
  res.end(body);
}

function trickle(res: ServerResponse, body: string, everyMs: number): void {
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  const bytes = Buffer.from(body);
  let at = 0;
  const timer = setInterval(() => {
    res.write(bytes.subarray(at, at + 1));
    if (++at === bytes.length) res.end();
  }, everyMs);
  res.once('close', () => clearInterval(timer));
}

/** Flushes the first half before the reset, which discards what is not sent yet. */
function cutOff(res: ServerResponse, body: string): void {
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  const half = body.slice(0, Math.floor(body.length / 2));
  res.write(half, () => setTimeout(() => res.socket?.resetAndDestroy(), 20));
}

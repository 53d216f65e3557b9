import { connect } from 'node:net';

/** What came back on a connection of its own. */
export interface RawAnswer {
  /** 0: the connection was closed without an answer. */
  status: number;
  contentType: string;
  body: string;
  /** Everything, as it came; there may be more answers in it. */
  text: string;
}

export interface ExchangeOptions {
  /** Says after the bytes that those were all. */
  end?: boolean;
  /** Leaves once there is one whole answer, and says after so many ms without one that those bytes were all. */
  patienceMs?: number;
}

/** Writes bytes that no HTTP client would send, and reads what comes back. */
export async function exchange(
  url: string,
  bytes: string | Buffer,
  { end = false, patienceMs }: ExchangeOptions = {},
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const hasNoBody = /^HEAD /.test(Buffer.from(bytes).toString('latin1', 0, 5));
  const chunks: Buffer[] = [];
  if (end) socket.end(bytes);
  else socket.write(bytes);
  const impatience = patienceMs !== undefined && setTimeout(() => socket.end(), patienceMs);
  return await new Promise((resolve) => {
    // A server that closes while there is more to read resets the connection; what it said before counts.
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (patienceMs !== undefined && isWhole(textOf(chunks), hasNoBody)) socket.destroy();
    });
    socket.on('close', () => {
      if (impatience) clearTimeout(impatience);
      resolve(parse(textOf(chunks)));
    });
  });
}

const textOf = (chunks: Buffer[]) => Buffer.concat(chunks).toString('latin1');

/** Without the interim answers (`100 Continue`). */
const finalPart = (text: string) => text.replace(/^(?:HTTP\/1\.1 1\d\d [^\r]*\r\n\r\n)+/, '');

function split(text: string): { head: string; body: string; complete: boolean } {
  const final = finalPart(text);
  const at = final.indexOf('\r\n\r\n');
  return at < 0
    ? { head: final, body: '', complete: false }
    : { head: final.slice(0, at), body: final.slice(at + 4), complete: true };
}

function isWhole(text: string, hasNoBody: boolean): boolean {
  const { head, body, complete } = split(text);
  const length = /^content-length: *(\d+)\r?$/im.exec(head)?.[1];
  const bodiless = hasNoBody || /^HTTP\/1\.1 (?:204|304) /.test(head);
  return complete && (bodiless || (length !== undefined && body.length >= Number(length)));
}

function parse(text: string): RawAnswer {
  const { head, body } = split(text);
  const length = Number(/^content-length: *(\d+)\r?$/im.exec(head)?.[1] ?? body.length);
  const contentType = /^content-type: *(.*?)\r?$/im.exec(head)?.[1] ?? '';
  return {
    status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? 0),
    contentType,
    body: body.slice(0, length),
    text,
  };
}

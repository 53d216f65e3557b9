import { connect, type Socket } from 'node:net';

/** What one app sends without end. */
export type Hostility = keyof typeof bodies;

/** A body that is repeated as one NDJSON stream, or sent as one JSON document, request after request. */
type Body = { lines: string } | { json: string };

const lanes = 3;
const chunkBytes = 64 * 1_024;
/** The largest JSON body that the API reads. */
const jsonBytes = 2 * 1_024 * 1_024;

const filled = (line: string) => ({ lines: line.repeat(Math.floor(chunkBytes / line.length)) });
/** A document of exactly the largest size: `filling` as often as it fits, and a blank for each byte that is left. */
const document = (begin: string, filling: (n: number) => string, end: string) => {
  const parts = [begin];
  let size = begin.length + end.length;
  for (let n = 0; ; n++) {
    const part = filling(n);
    if (size + part.length > jsonBytes) break;
    parts.push(part);
    size += part.length;
  }
  return { json: parts.join('') + end + ' '.repeat(jsonBytes - size) };
};
const depth = jsonBytes / 2 - 16;

const bodies = {
  'blank lines': filled('\n'),
  'lines of {}': filled('{}\n'),
  'lines without a valid number': filled('{"to":"12345"}\n'),
  'lines over a limit': filled('{"to":"+60123456789"}\n'),
  'lines of 16 KiB': filled(`{${'"a":1,'.repeat(2_600)}"b":1}\n`),
  '10,000 OTPs': document(
    '{"otps":[{"to":"0"}',
    (n) => `,{"to":"${n % 1_000}","reference":"${'x'.repeat(185)}"}`,
    ']}',
  ),
  'a million elements': document('{"otps":[1', () => ',1', ']}'),
  'members without end': document('{"otps":[{"a":1', (n) => `,"${n.toString(36)}":1`, '}]}'),
  'top-level members without end': document('{"a":1', (n) => `,"${n.toString(36)}":1`, '}'),
  'deep nesting': { json: `{"otps":[${'['.repeat(depth)}${']'.repeat(depth)}]}`.padEnd(jsonBytes) },
  'wide nesting': document('{"otps":[[[]]', () => ',[[],[]]', ']}'),
} satisfies Record<string, Body>;

/** Every kind, in the order of the table. */
export const hostilities = Object.keys(bodies) as Hostility[];

/** Uploads under way. */
export interface HostileApp {
  /** Bytes that the API has taken so far. */
  readonly sentBytes: number;
  /** Statuses of the answers so far, and how often each came; 0 is a connection that ended without one. */
  readonly statuses: ReadonlyMap<number, number>;
  stop(): void;
}

/** Has an app send this over three connections at full speed, request after request, until it is stopped. */
export function startHostileApp(url: string, { key, kind }: { key: string; kind: Hostility }): HostileApp {
  const statuses = new Map<number, number>();
  const sockets = new Set<Socket>();
  let earlierBytes = 0;
  let stopped = false;
  const lane = () => {
    if (stopped) return;
    const socket = begin(url, key, bodies[kind]);
    sockets.add(socket);
    let status = 0;
    socket.on('data', (data) => {
      if (status === 0) status = Number(data.subarray('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
      // What is refused need not be sent to its end.
      if (status !== 202) socket.destroy();
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      earlierBytes += socket.bytesWritten;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      setImmediate(lane);
    });
  };
  for (let i = 0; i < lanes; i++) lane();
  return {
    get sentBytes() {
      return [...sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, earlierBytes);
    },
    statuses,
    stop: () => {
      stopped = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** One request, which ends its connection when it is answered. */
function begin(url: string, key: string, body: Body): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const head = `POST /v1/otps/bulk HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${key}\r\n`;
  if ('json' in body) {
    const headers = `Content-Type: application/json\r\nContent-Length: ${body.json.length}\r\n\r\n`;
    socket.write(head + headers + body.json);
    return socket;
  }
  socket.write(`${head}Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n`);
  const chunk = Buffer.from(`${body.lines.length.toString(16)}\r\n${body.lines}\r\n`);
  const more = () => {
    while (socket.writable && socket.write(chunk));
  };
  socket.on('connect', more).on('drain', more);
  return socket;
}

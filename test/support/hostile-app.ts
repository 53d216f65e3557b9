import { connect, type Socket } from 'node:net';

/** What one app sends without end. */
export type Hostility = keyof typeof bodies;

/**
 * A body that is repeated as one NDJSON stream, or sent as one JSON document, request after request. `bytewise`: each byte
 * of it in an HTTP chunk of its own. `refusedAt`: a target that refuses it at once; it is sent all the same.
 */
type Body = ({ lines: string } | { json: string }) & { bytewise?: true; refusedAt?: string };

const lanes = 3;
/** What is refused at once takes no slot of an app. */
const refusedLanes = 20;
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
const jsonOf10000 = document(
  '{"otps":[{"to":"0"}',
  (n) => `,{"to":"${n % 1_000}","reference":"${'x'.repeat(185)}"}`,
  ']}',
);
const depth = jsonBytes / 2 - 16;

const bodies = {
  'blank lines': filled('\n'),
  'lines of {}': filled('{}\n'),
  'lines without a valid number': filled('{"to":"12345"}\n'),
  'lines over a limit': filled('{"to":"+60123456789"}\n'),
  'lines of 16 KiB': filled(`{${'"a":1,'.repeat(2_600)}"b":1}\n`),
  '10,000 OTPs': jsonOf10000,
  'a million elements': document('{"otps":[1', () => ',1', ']}'),
  'members without end': document('{"otps":[{"a":1', (n) => `,"${n.toString(36)}":1`, '}]}'),
  'top-level members without end': document('{"a":1', (n) => `,"${n.toString(36)}":1`, '}'),
  'deep nesting': { json: `{"otps":[${'['.repeat(depth)}${']'.repeat(depth)}]}`.padEnd(jsonBytes) },
  'wide nesting': document('{"otps":[[[]]', () => ',[[],[]]', ']}'),
  'one line in one-byte chunks': { ...filled('x'), bytewise: true },
  '10,000 OTPs in one-byte chunks': { ...jsonOf10000, bytewise: true },
  'a body of a refused method, in one-byte chunks': { ...filled('x'), bytewise: true, refusedAt: '/livez' },
  'a refused upload in one-byte chunks': { ...filled('x'), bytewise: true, refusedAt: '/v1/otps/bulk?no' },
} satisfies Record<string, Body>;

/** Every kind. */
export const hostilities = Object.keys(bodies) as Hostility[];

/** Uploads under way. */
export interface HostileApp {
  /** Bytes that the API has taken so far. */
  readonly sentBytes: number;
  /** Statuses of the answers so far, and how often each came; 0 is a connection that ended without one. */
  readonly statuses: ReadonlyMap<number, number>;
  stop(): void;
}

/** Has an app send this over several connections at full speed, request after request, until it is stopped. */
export function startHostileApp(url: string, { key, kind }: { key: string; kind: Hostility }): HostileApp {
  const body = onTheWire(bodies[kind]);
  const statuses = new Map<number, number>();
  const sockets = new Set<Socket>();
  let earlierBytes = 0;
  let stopped = false;
  const lane = () => {
    if (stopped) return;
    const socket = begin(url, key, body);
    sockets.add(socket);
    let status = 0;
    socket.on('data', (data) => {
      if (status === 0) status = Number(data.subarray('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
      // What is refused need not be sent to its end.
      if (status !== 202 && !body.refusedAt) socket.destroy();
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      earlierBytes += socket.bytesWritten;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      setImmediate(lane);
    });
  };
  for (let i = 0; i < (body.refusedAt ? refusedLanes : lanes); i++) lane();
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

/** The headers of a body, and its bytes; `endless`: they come again and again. */
interface Wire {
  headers: string;
  bytes: Buffer;
  endless: boolean;
  refusedAt: string | undefined;
}

function onTheWire(body: Body): Wire {
  const endless = 'lines' in body;
  const { refusedAt } = body;
  const text = endless ? body.lines : body.json;
  const type = `Content-Type: application/${endless ? 'x-ndjson' : 'json'}\r\n`;
  if (!endless && !body.bytewise)
    return {
      headers: `${type}Content-Length: ${text.length}\r\n`,
      bytes: Buffer.from(text),
      endless,
      refusedAt,
    };
  const chunks = body.bytewise
    ? text.replaceAll(/./gs, '1\r\n$&\r\n')
    : `${text.length.toString(16)}\r\n${text}\r\n`;
  const bytes = Buffer.from(endless ? chunks : `${chunks}0\r\n\r\n`);
  return { headers: `${type}Transfer-Encoding: chunked\r\n`, bytes, endless, refusedAt };
}

/** One request, which ends its connection when it is answered. */
function begin(url: string, key: string, { headers, bytes, endless, refusedAt }: Wire): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const target = refusedAt ?? '/v1/otps/bulk';
  const lives = refusedAt ? '' : 'Connection: close\r\n';
  const head = `POST ${target} HTTP/1.1\r\nHost: x\r\n${lives}Authorization: Bearer ${key}\r\n`;
  socket.write(`${head}${headers}\r\n`);
  if (!endless) {
    socket.write(bytes);
    return socket;
  }
  const more = () => {
    while (socket.writable && socket.write(bytes));
  };
  socket.on('connect', more).on('drain', more);
  return socket;
}

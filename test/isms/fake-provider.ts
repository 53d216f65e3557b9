import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { selfSigned } from '../support/self-signed.js';

/** Answers one request, or does worse; `nth` counts the requests of this server from 1. */
export type Behaviour = (socket: Socket, target: string, nth: number) => void;

/** A server of raw sockets on loopback that counts what really arrives. */
export interface FakeProvider {
  readonly url: string;
  /** The request targets that arrived, in order. */
  readonly targets: string[];
  /** Connections ever made, and those still open. */
  readonly connections: number;
  readonly open: number;
  /** Bytes that arrived after the TLS handshake, if there is one. */
  readonly bytes: number;
  /** Refuses new connections from now on; those that are open go on. */
  stopListening(): void;
  close(): Promise<void>;
}

/** Starts one that reads whole requests and then behaves; `tls` gives it a self-signed certificate. */
export async function startFakeProvider(behave: Behaviour, tls = false): Promise<FakeProvider> {
  const sockets = new Set<Socket>();
  const state = { targets: [] as string[], connections: 0, bytes: 0 };
  const onConnection = (socket: Socket) => {
    let head = '';
    socket.on('data', (chunk) => {
      state.bytes += chunk.length;
      head += chunk.toString('latin1');
      for (let end = head.indexOf('\r\n\r\n'); end >= 0; end = head.indexOf('\r\n\r\n')) {
        const target = head.split(' ')[1] ?? '';
        head = head.slice(end + 4);
        behave(socket, target, state.targets.push(target));
      }
    });
  };
  const server = tls ? createTlsServer(selfSigned, onConnection) : createServer(onConnection);
  server.on('connection', (socket: Socket) => {
    state.connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  const port = await listen(server.on('tlsClientError', () => undefined));
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}/2FA/request.php`,
    targets: state.targets,
    get connections() {
      return state.connections;
    },
    get open() {
      return sockets.size;
    },
    get bytes() {
      return state.bytes;
    },
    stopListening: () => void server.close(),
    close: () => stop(server, sockets),
  };
}

/** A loopback port that nothing listens on. */
export async function refusedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await stop(server, new Set());
  return port;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on a port');
  return address.port;
}

async function stop(server: Server, sockets: Set<Socket>): Promise<void> {
  for (const socket of sockets) socket.destroy();
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  await closed;
}

/** An HTTP reply with a Content-Length; members of `headers` go out as they are. */
export function reply(body: string, status = 200, headers: readonly string[] = []): string {
  const length = `content-length: ${Buffer.byteLength(body)}`;
  return [`HTTP/1.1 ${status} X`, length, ...headers, '', body].join('\r\n');
}

/** Behaves by one fixed reply. */
export function always(text: string): Behaviour {
  return (socket) => socket.write(text);
}

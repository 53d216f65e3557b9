import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';

/** A proxy in front of a TCP server that can lose what the server answers, or be slow. */
export interface TcpProxy {
  port: number;
  /** From now on, every so many requests a connection is cut after the request was forwarded, before its reply. */
  loseReplies(every: number): void;
  /** Passes nothing on any more of the connections there are, which stay open; new ones work. */
  swallow(): void;
  /** Replies that were lost so far. */
  readonly lost: number;
  close(): Promise<void>;
}

const greetings = 5;

/**
 * Forwards everything to `port` on loopback until it is told to lose replies. Requests are held back for `requestsTakeMs`,
 * so that their replies come late, and what the server says unasked does not.
 */
export async function startTcpProxy(port: number, requestsTakeMs = 0): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let every = 0;
  let swallowed = 0;
  let connections = 0;
  let lost = 0;
  let forwarded = 0;
  const server = createServer((client) => {
    const upstream = createConnection({ port, host: '127.0.0.1' });
    let requests = 0;
    let losing = false;
    connections += 1;
    const own = connections;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', end).on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    client.on('data', (chunk) => {
      if (own <= swallowed) return;
      requests += 1;
      // The first requests of a connection are the client's own greeting.
      if (requests > greetings) forwarded += 1;
      losing ||= every > 0 && requests > greetings && forwarded % every === 0;
      if (requestsTakeMs === 0) upstream.write(chunk);
      else setTimeout(() => upstream.writable && upstream.write(chunk), requestsTakeMs);
    });
    upstream.on('data', (chunk) => {
      if (own <= swallowed) return;
      if (!losing) {
        client.write(chunk);
        return;
      }
      lost += 1;
      end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    loseReplies: (requests) => {
      every = requests;
    },
    swallow: () => {
      swallowed = connections;
    },
    get lost() {
      return lost;
    },
    close: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { afterFile } from '../../support/clean-up.js';

/** A proxy in front of an HTTP server that can lose answers. */
export interface LosingProxy {
  url: string;
  /** Cuts the next connections when the answer holds this text, by default once it begins. None of it is forwarded. */
  loseAnswers(count: number, text?: string): void;
  /** Answers that were lost so far. */
  readonly lost: number;
}

export async function startLosingProxy(target: string): Promise<LosingProxy> {
  const { hostname: host, port } = new URL(target);
  const sockets = new Set<Socket>();
  let toLose = 0;
  let lastText = '';
  let lost = 0;
  const server = createServer((client) => {
    const upstream = createConnection({ port: Number(port), host });
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
    client.on('data', (bytes) => upstream.write(bytes));
    let answer = '';
    upstream.on('data', (bytes) => {
      if (lost >= toLose) {
        client.write(bytes);
        return;
      }
      answer += bytes;
      if (!answer.includes(lastText)) return;
      lost += 1;
      end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterFile(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    loseAnswers: (count, text = '') => {
      toLose = lost + count;
      lastText = text;
    },
    get lost() {
      return lost;
    },
  };
}

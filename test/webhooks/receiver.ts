import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { requestBody } from '../support/request-body.js';

export const secret = `whsec_${Buffer.from('a-key-of-the-webhook-tests-only!').toString('base64')}`;

export interface Received {
  headers: IncomingHttpHeaders;
  body: string;
  /** Its body, checked by the specification's own verifier. */
  message: { type: string; timestamp: string; data: Record<string, unknown> };
}

/** A receiver of webhooks, which checks signatures as its owner would. */
export interface Receiver {
  url: string;
  /** Everything that was answered with 2xx. */
  taken: Received[];
  /** Everything that came. */
  attempts: Received[];
  close(): Promise<void>;
}

/** Answers with the status that `answer` says, 204 by default. */
export async function startReceiver(
  answer: (received: Received, attempt: number) => number = () => 204,
): Promise<Receiver> {
  const verifier = new Webhook(secret);
  const [taken, attempts]: [Received[], Received[]] = [[], []];
  const server = createServer(async (req, res) => {
    const body = await requestBody(req);
    if (body === null) return;
    const { headers } = req;
    const message = verifier.verify(body, headers as Record<string, string>) as Received['message'];
    const received = { headers, body, message };
    attempts.push(received);
    const status = answer(received, attempts.length);
    if (status >= 200 && status < 300) taken.push(received);
    res.writeHead(status, status === 302 ? { Location: '/elsewhere' } : {}).end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks?token=a-secret-of-the-receiver`,
    taken,
    attempts,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

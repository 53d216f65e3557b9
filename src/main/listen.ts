import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Lets a server listen; resolves with its URL, rejects when the port is taken. */
export async function listen(server: Server, at: { host: string; port: number }): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, () => resolve());
  });
  const { address, port } = server.address() as AddressInfo;
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

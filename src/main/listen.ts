import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * Starts a server and resolves with its URL. `server` and `advice` go into the error when its port
 * is taken.
 */
export async function listen(
  http: Server,
  at: { host: string; port: number },
  { server, advice }: { server: string; advice: string },
): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    http.once('error', (error) => reject(portTaken(error, server, advice) ?? error));
    http.listen(at, () => resolve());
  });
  const { address, port } = http.address() as AddressInfo;
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** The error that names who needs a port that another process has; null for any other error. */
export function portTaken(error: unknown, server: string, advice: string): Error | null {
  if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE' && 'port' in error))
    return null;
  return new Error(`Port ${error.port}, for ${server}, is taken by another process. ${advice}`.trim());
}

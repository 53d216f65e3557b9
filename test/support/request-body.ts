import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

/** What a server of a test was sent; null when its client went away before the end, as one that was killed does. */
export async function requestBody(req: IncomingMessage): Promise<string | null> {
  return await text(req).catch(() => null);
}

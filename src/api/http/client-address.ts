import type { Request } from 'express';
import { countedAddress } from '../../otp/client-address.js';

/** Some proxies (Azure's) name the port, too: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
const withPort = /^(?:\[(?<six>[^\]]+)\]|(?<four>[\d.]+))(?::\d+)?$/;

/** What the client of a request is counted by, as trusted proxies report it. Personal data: never kept, and logged by its network alone. */
export function clientAddress(req: Request): string {
  const address = req.ip ?? '';
  const { six, four } = withPort.exec(address)?.groups ?? {};
  return countedAddress(six ?? four ?? address);
}

import type { Request } from 'express';
import { countedAddress } from '../otp/client-address.js';

/** Some proxies (Azure's) name the port, too: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
const withPort = /^(?:\[(?<six>[^\]]+)\]|(?<four>[\d.]+))(?::\d+)?$/;

/**
 * What a client is counted by: its IPv4 address or its IPv6 /64 network, as trusted proxies report it. Personal
 * data: only a keyed hash of it is kept or logged.
 */
export function clientAddress(req: Request): string {
  const address = req.ip ?? '';
  const { six, four } = withPort.exec(address)?.groups ?? {};
  return countedAddress(six ?? four ?? address);
}

import { BlockList, isIPv4, isIPv6 } from 'node:net';

const mapped = new BlockList();
mapped.addSubnet('::ffff:0:0', 96, 'ipv6');

/**
 * An address as limits count it: IPv4 as it is, IPv6 as its /64 network, which belongs to one subscriber (RFC 6177). An
 * IPv4 address in IPv6 notation counts as IPv4; other text is returned unchanged.
 */
export function countedAddress(address: string): string {
  if (isIPv4(address) || !isIPv6(address)) return address;
  const plain = address.replace(/%.*$/, '');
  const groups = expand(normalised(plain));
  return mapped.check(plain, 'ipv6') ? dotted(groups) : groups.slice(0, 4).join(':');
}

/** A counted /64 network, as `countedAddress` writes it. */
const network64 = /^((?:[0-9a-f]{1,4}:){3})([0-9a-f]{1,4})$/;

/**
 * The /56 network of a counted IPv6 network: many providers assign one to a subscriber, who would otherwise count as 256
 * (RFC 6177). Null for an IPv4 address and other text.
 */
export function widerNetwork(counted: string): string | null {
  const [, head = '', group = ''] = network64.exec(counted) ?? [];
  if (group === '') return null;
  const network = Number.parseInt(group, 16) & 0xff00;
  return `${head}${network.toString(16)}/56`;
}

/** A counted address for logs: its IPv4 /24 or IPv6 /56 network in CIDR notation; `unknown` for other text. */
export function maskedAddress(counted: string): string {
  if (isIPv4(counted)) return counted.replace(/\d+$/, '0/24');
  const [network, length] = widerNetwork(counted)?.split('/') ?? [];
  return network === undefined ? 'unknown' : `${normalised(`${network}::`)}/${length}`;
}

/** The limit of a /56 network as a multiple of a /64 network's: a home has two at most, one for guests. */
export const widerNetworkShare = 2;

/** An IPv6 address in its short form (RFC 5952). */
const normalised = (address: string) => new URL(`http://[${address}]/`).hostname.slice(1, -1);

/** The eight groups of a normalised IPv6 address, in hex without leading zeros. */
function expand(address: string): string[] {
  const [left = [], right = []] = address.split('::').map((part) => part.split(':').filter(Boolean));
  return [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
}

function dotted(groups: string[]): string {
  const bytes = groups.slice(6).flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
  return bytes.join('.');
}

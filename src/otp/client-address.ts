import { BlockList, isIPv4, isIPv6 } from 'node:net';

const mapped = new BlockList();
mapped.addSubnet('::ffff:0:0', 96, 'ipv6');

/**
 * What an address is counted by: an IPv4 address itself, and of an IPv6 address the /64 network, since one subscriber
 * has all of it (RFC 6177). An IPv4 address in IPv6 notation counts as IPv4; other text is returned as it is.
 */
export function countedAddress(address: string): string {
  if (isIPv4(address) || !isIPv6(address)) return address;
  const plain = address.replace(/%.*$/, '');
  const groups = expand(new URL(`http://[${plain}]/`).hostname.slice(1, -1));
  return mapped.check(plain, 'ipv6') ? dotted(groups) : groups.slice(0, 4).join(':');
}

/** The eight groups of a normalised IPv6 address, in hex without leading zeros. */
function expand(address: string): string[] {
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  if (tail === undefined) return left;
  const right = tail === '' ? [] : tail.split(':');
  return [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
}

function dotted(groups: string[]): string {
  const bytes = groups.slice(6).flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
  return bytes.join('.');
}

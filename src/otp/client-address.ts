import { BlockList, isIPv4, isIPv6 } from 'node:net';

const mapped = new BlockList();
mapped.addSubnet('::ffff:0:0', 96, 'ipv6');

/**
 * What an address is counted by: an IPv4 address itself, and of an IPv6 address the /64 network, since one
 * subscriber has all of it (RFC 6177). An IPv4
 * address in IPv6 notation counts as IPv4. Text that is no address is returned as it is.
 */
export function countedAddress(address: string): string {
  if (isIPv4(address) || !isIPv6(address)) return address;
  const url = new URL(`http://[${address.replace(/%.*$/, '')}]/`);
  const groups = expand(url.hostname.slice(1, -1));
  if (mapped.check(address.replace(/%.*$/, ''), 'ipv6')) return dotted(groups);
  return groups.slice(0, 4).join(':');
}

/** The eight groups of a normalised IPv6 address, in hex without leading zeros. */
function expand(address: string): string[] {
  const [head = '', tail = ''] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  if (!address.includes('::')) return left;
  return [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
}

function dotted(groups: string[]): string {
  return groups
    .slice(6)
    .flatMap((group) => {
      const value = Number.parseInt(group, 16);
      return [value >> 8, value & 255];
    })
    .join('.');
}

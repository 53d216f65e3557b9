import { describe, expect, it } from 'vitest';
import { countedAddress, maskedAddress, widerNetwork } from '../../src/otp/client-address.js';

describe('an address is counted', () => {
  it.each([
    ['198.51.100.7', '198.51.100.7'],
    ['::ffff:198.51.100.7', '198.51.100.7'],
    ['::FFFF:c633:6407', '198.51.100.7'],
    ['2001:db8:1:2::1', '2001:db8:1:2'],
    ['2001:DB8:1:2:ffff::9', '2001:db8:1:2'],
    ['2001:0db8:0001:0002:0:0:0:1', '2001:db8:1:2'],
    ['2001:db8::', '2001:db8:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['::1', '0:0:0:0'],
    ['', ''],
    ['no address', 'no address'],
  ])('%s as %s', (address, counted) => {
    expect(countedAddress(address)).toBe(counted);
  });
});

describe('the wider network of a counted address', () => {
  it.each([
    ['2001:db8:1:2ff', '2001:db8:1:200/56'],
    ['2001:db8:1:2', '2001:db8:1:0/56'],
    ['2001:db8:1:ab12', '2001:db8:1:ab00/56'],
    ['198.51.100.7', null],
    ['no address', null],
    ['', null],
  ])('of %s is %s', (counted, network) => {
    expect(widerNetwork(counted)).toBe(network);
  });
});

describe('the masked address of a counted address', () => {
  it.each([
    ['198.51.100.7', '198.51.100.0/24'],
    ['2001:db8:1:2', '2001:db8:1::/56'],
    ['2001:db8:1:2ff', '2001:db8:1:200::/56'],
    ['2001:db8:0:0', '2001:db8::/56'],
    ['0:0:0:0', '::/56'],
    ['no address', 'unknown'],
  ])('of %s is the network %s in CIDR notation', (counted, network) => {
    expect(maskedAddress(counted)).toBe(network);
  });
});

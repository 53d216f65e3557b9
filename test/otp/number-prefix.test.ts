import { describe, expect, it } from 'vitest';
import { parseNumberPrefix } from '../../src/otp/number-prefix.js';

const parse = (text: string) => parseNumberPrefix(text, 'MY');

describe('a number or prefix of the allow and deny lists', () => {
  it.each(['+60123456789', '012-345 6789', '+60 12 345 6789'])(
    '%s is a whole number, shown masked',
    (text) => {
      expect(parse(text)).toEqual({ digits: '60123456789', shown: '+60******789' });
    },
  );

  it.each([
    ['+60 11', '6011', '+6011'],
    ['+60-12-345', '6012345', '+6012345'],
    ['6012-345xxxx', '6012345', '+6012345'],
    ['+6011 2345', '60112345', '+60112345'],
    ['+6011 2345 6', '601123456', '+60112345…'],
    ['+1 20', '120', '+120'],
    // Numbers of Ivory Coast begin with 0.
    ['+225 07 08', '2250708', '+2250708'],
  ])('%s is a prefix', (text, digits, shown) => {
    expect(parse(text)).toEqual({ digits, shown });
  });

  it.each(['+60 (0)12', '+60 012', '+44 (0)79', '+86 010'])(
    '%j would fit no number: the 0 is dialled only within the country',
    (text) => {
      expect(parse(text)).toBeNull();
    },
  );

  it.each(['', '+', '+60', '+601', '011', '6011', '+0011', '+6011x', '+60112345678901234', 'shop', '+852 1'])(
    '%j is neither, so that a typo cannot deny a country',
    (text) => {
      expect(parse(text)).toBeNull();
    },
  );
});

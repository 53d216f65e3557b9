import { PhoneNumber } from '../../src/otp/phone-number.js';

/** What Malaysian mobile numbers begin with, as far as libphonenumber knows; six more digits follow. */
const beginnings = [
  ...[
    '102',
    '103',
    '105',
    '106',
    '108',
    '142',
    '143',
    '145',
    '146',
    '147',
    '148',
    '149',
    '182',
    '183',
    '186',
  ],
  ...counting(120, 129),
  ...counting(131, 139),
  ...counting(160, 169),
  ...counting(171, 179),
  ...counting(190, 199),
  ...counting(1110, 1159),
];

const million = 1_000_000;
/** Has no factor in common with a million, so that every number comes up once. */
const stride = 618_033;

function counting(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => String(first + i));
}

/** The digits after +60 of the n-th of some hundred million different numbers, spread over all ranges. */
export function nthNational(n: number): string {
  const turn = Math.floor(n / beginnings.length);
  const rest = (turn * stride + n * 7) % million;
  return `${beginnings[n % beginnings.length]}${String(rest).padStart(6, '0')}`;
}

/** The n-th number, parsed. */
export function nthNumber(n: number): PhoneNumber {
  const parsed = PhoneNumber.parse(`+60${nthNational(n)}`, 'MY');
  if (!parsed) throw new Error('the bench made a number that is none');
  return parsed;
}

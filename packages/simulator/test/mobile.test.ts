import { describe, expect, it } from 'vitest';
import { joinMobile, readMobile, replyMobile } from '../src/mobile.js';

describe('mobile numbers', () => {
  it('are joined from the two parameters when they keep the rule of the vendor', () => {
    expect(joinMobile('60', '123456789')).toBe('+60123456789');
    expect(joinMobile('60', '1112345678')).toBe('+601112345678');
    expect(joinMobile('65', '81234567')).toBe('+6581234567');
  });

  it.each([
    ['60', '0123456789'],
    ['60', '12345678'],
    ['60', '11123456789'],
    ['60', '212345678'],
    ['60', '12345678x'],
    ['060', '123456789'],
    ['65', ''],
  ])('are refused when they do not: %s %s', (country, mobile) => {
    expect(joinMobile(country, mobile)).toBeNull();
  });

  it('are printed as the vendor prints them', () => {
    expect(replyMobile('+60123456789')).toBe('+6012-3456789');
    expect(replyMobile('+6581234567')).toBe('+6581234567');
  });

  it('are read in every usual notation', () => {
    const notations = ['+60 12-345 6789', '60123456789', '012-3456789', '123456789'];
    expect(new Set(notations.map(readMobile))).toEqual(new Set(['+60123456789']));
    expect(readMobile('+65 8123 4567')).toBe('+6581234567');
  });
});

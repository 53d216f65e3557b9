import { describe, expect, it } from 'vitest';
import { priceOf } from '../src/price.js';

describe('priceOf', () => {
  it.each([
    ['a'.repeat(153), false, 1],
    ['a'.repeat(154), false, 2],
    ['a'.repeat(307), false, 3],
    ['验'.repeat(63), true, 1],
    ['验'.repeat(64), true, 2],
  ])('charges a credit for each part begun (%#)', (text, unicode, credits) => {
    expect(priceOf(text, unicode)).toBe(credits);
  });

  it('counts characters of the GSM extension table twice, in ASCII only', () => {
    expect(priceOf(`${'a'.repeat(152)}€`, true)).toBe(3);
    expect(priceOf(`${'a'.repeat(152)}{`, false)).toBe(2);
    expect(priceOf(`${'a'.repeat(62)}{`, true)).toBe(1);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonSyntaxError } from '../../src/config/apps-file.js';

describe('jsonSyntaxError', () => {
  it.each<[string, number, number]>([
    ['{\n  "apps": {\n    "shop": x\n  }\n}', 3, 13],
    ['{\n  "a": 1,\n}', 3, 1],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3],
    ['[1, 2', 1, 6],
    ["{'a': 1}", 1, 2],
    ['{"a": "b\n"}', 1, 7],
    ['{"a": 01}', 1, 7],
    ['{} // comment', 1, 4],
    ['', 1, 1],
    ['\ufeff{}', 1, 1],
  ])('finds the error in %j', (text, line, column) => {
    expect(jsonSyntaxError(text)).toEqual({ line, column });
  });

  it('accepts what JSON.parse accepts, and nothing else', () => {
    const pieces = fc.constantFrom(...'{}[],:"\\\n 01-+.eE', '"a"', 'true', 'null', '"\\u00e9"', '1.5e3');
    const texts = fc.oneof(
      fc.json(),
      fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')),
      fc.tuple(fc.json(), fc.nat(), pieces).map(([text, at, piece]) => {
        const cut = at % (text.length + 1);
        return text.slice(0, cut) + piece + text.slice(cut + (at % 2));
      }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const valid = parses(text);
        expect(jsonSyntaxError(text) === null).toBe(valid);
      }),
      { numRuns: 2_000 },
    );
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

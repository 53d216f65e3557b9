import { describe, expect, it } from 'vitest';
import { readDocument, readItem } from '../../../src/api/routes/bulk-document.js';
import { createTimeSlices } from '../../../src/lib/time-slices.js';

const options = { mostOtps: 3, slices: createTimeSlices() };

async function* partsOf(texts: Iterable<string>, taken = { parts: 0 }) {
  for (const text of texts) {
    taken.parts += 1;
    yield text;
  }
}

/** What a document comes to whose OTPs are all read. */
async function documentOf(...parts: string[]): Promise<unknown> {
  const { otps, ...others } = await readDocument(partsOf(parts), options);
  return {
    ...others,
    ...(otps !== undefined && { otps: otps && (otps as (string | null)[]).map(readItem) }),
  };
}

/** How many parts of an endless document are taken before it ends, and how. */
async function endOf(begin: string, more: (n: number) => string) {
  const endless = function* () {
    yield begin;
    for (let n = 0; n < 1_000; n++) yield more(n);
  };
  const taken = { parts: 0 };
  const end = await readDocument(partsOf(endless(), taken), options).catch((error: unknown) => error);
  return { end, parts: taken.parts };
}

const samples = [
  '{"defaults":{"a":[1,{"b":"]}"}]},"otps":[{"to":"1"},{"to":"2"}]}',
  ' { "otps" : [ 1 , "x" , null ] , "defaults" : {} } \n',
  '{"otps":[{"text":"quote \\" backslash \\\\"},"\\\\",[[{}]]]}',
  '{"otps":[]}',
  '{}',
];

describe('a bulk document', () => {
  it.each(samples)('equals JSON.parse, wherever it is cut: %s', async (text) => {
    const { otps, ...others } = JSON.parse(text);
    const whole = { ...others, ...(otps && { otps: otps.map((json: unknown) => ({ json })) }) };
    for (let at = 0; at <= text.length; at++) {
      expect(await documentOf(text.slice(0, at), text.slice(at))).toEqual(whole);
    }
  });

  it.each([
    ...[
      '',
      '[]',
      '1',
      '{',
      '{"otps"',
      '{"otps":[',
      '{"otps":[1',
      '{"otps":[1}',
      '{"otps":[1]',
      '{"otps":[1]]}',
    ],
    ...['{"otps":[1,]}', '{"otps":[,1]}', '{"otps":[1 2]}', '{"otps":[{"a":1]]}', '{"otps":[nul]}'],
    ...[
      '{"otps":["a]}',
      '{"otps":[1],}',
      '{"otps":[1]}{}',
      '{otps:[1]}',
      '{"defaults":{1},"otps":[1]}',
      '{1:2}',
    ],
  ])('is rejected as a whole if it is not JSON: %s', async (text) => {
    expect(() => JSON.parse(text === '[]' || text === '1' ? '' : text)).toThrow();
    await expect(documentOf(text)).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it.each(['[', '{"a":', '"', '1'])('drops an OTP of more than 16 KiB as it arrives: %s…', async (text) => {
    const long = text.repeat(20_000);
    const end = { '[': ']'.repeat(20_000), '{"a":': `1${'}'.repeat(20_000)}`, '"': '', '1': '' }[text] ?? '';
    expect(await documentOf(`{"otps":[1,${long}`, `${end},2]}`)).toEqual({
      otps: [{ json: 1 }, { problem: 'The OTP is longer than 16384 characters.' }, { json: 2 }],
    });
  });

  it('is not read further once it has too many OTPs', async () => {
    const { end, parts } = await endOf('{"otps":[0', () => ',1');
    expect(end).toEqual({ otps: ['0', '1', '1', '1'] });
    expect(parts).toBeLessThan(8);
  });

  it('is not read further once it has too many members or is not JSON', async () => {
    const members = await endOf('{"a":1', (n) => `,"m${n}":1`);
    expect(members.end).toMatchObject({ code: 'invalid_request' });
    expect(members.parts).toBeLessThan(40);
    const broken = await endOf('{"otps":[{"a":oops},', () => '1,');
    expect(broken.end).toMatchObject({ code: 'invalid_request' });
    expect(broken.parts).toBeLessThan(3);
  });

  it.each(['NaN', 'null', '"x"', '{}', 'nonsense'])(
    'is rejected where its otps are %s instead of a list, also before a list',
    async (otps) => {
      for (const text of [`{"otps":${otps}}`, `{"otps":${otps},"otps":[1]}`, `{"otps":[1],"otps":${otps}}`]) {
        const detail = '`otps` must be an array.';
        await expect(documentOf(text)).rejects.toMatchObject({ code: 'invalid_request', facts: { detail } });
      }
    },
  );

  it('is rejected for a member name of more than 16 KiB', async () => {
    const detail = 'A member name is longer than 16384 characters.';
    await expect(documentOf(`{"${'a'.repeat(20_000)}":1}`)).rejects.toMatchObject({ facts: { detail } });
  });

  it('names unknown members without parsing their values', async () => {
    const text = '{"otps":[1],"__proto__":{"x":1},"more":[[]]}';
    const document = await readDocument(partsOf([text]), options);
    expect(Object.entries(document)).toEqual([
      ['otps', ['1']],
      ['__proto__', null],
      ['more', null],
    ]);
  });
});

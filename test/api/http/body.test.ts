import { describe, expect, it } from 'vitest';
import { readLines } from '../../../src/api/http/body.js';

/** The lines of a body that arrives in these parts. */
async function linesOf(...parts: (string | Buffer)[]) {
  async function* body() {
    for (const part of parts) yield Buffer.from(part as string);
  }
  const lines = [];
  for await (const some of readLines(body())) lines.push(...some);
  return lines;
}

/** The same text in every two parts there are. */
const splits = (text: string) => {
  const bytes = Buffer.from(text);
  return Array.from({ length: bytes.length + 1 }, (_, i) => [bytes.subarray(0, i), bytes.subarray(i)]);
};

describe('reading the lines of a body', () => {
  it('joins lines cut anywhere, also within a character', async () => {
    for (const parts of splits('{"a":"é验"}\n\n{"b":1}\r\n{"c":2}')) {
      expect(await linesOf(...parts)).toEqual([
        { json: { a: 'é验' } },
        null,
        { json: { b: 1 } },
        { json: { c: 2 } },
      ]);
    }
  });

  it('reports each unreadable line by itself', async () => {
    const lines = await linesOf('{"a":1}\nnot json\n', Buffer.from([0x22, 0xff, 0x22, 0x0a]), '{"b":2}\n');
    expect(lines).toEqual([
      { json: { a: 1 } },
      { problem: 'The line is not JSON.' },
      { problem: 'The line is not UTF-8.' },
      { json: { b: 2 } },
    ]);
  });

  it('rejects a line over 16 KiB, however many parts it arrives in', async () => {
    const long = `"${'x'.repeat(5_000)}`;
    const lines = await linesOf(long, long, long, long, '"\n', `"${'y'.repeat(16_380)}"\n`, '1');
    expect(lines).toEqual([
      { problem: 'The line is longer than 16384 bytes.' },
      { json: 'y'.repeat(16_380) },
      { json: 1 },
    ]);
  });

  it('keeps the lines before a body breaks off', async () => {
    async function* broken() {
      yield Buffer.from('{"a":1}\n{"b"');
      throw Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
    }
    const read = async () => {
      for await (const _ of readLines(broken()));
    };
    await expect(read()).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

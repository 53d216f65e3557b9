import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectInput, readInput } from '../../src/cli/input.js';
import { createLineNumbers } from '../../src/cli/upload.js';
import { newFolder } from './upload-files.js';

function fileOf(name: string, content: string): string {
  const file = join(newFolder(), name);
  writeFileSync(file, content);
  return file;
}

/** Lengths that put the end of a read at every position of a line. */
const messages = Array.from(
  { length: 4_000 },
  (_, i) => `验证码 "${'x'.repeat(i % 97)}"\n%OTP%, ${'é'.repeat(97 - (i % 97))}`,
);

describe('a file of OTPs', () => {
  it.each<[string, string, number]>([
    [
      'CSV',
      `to,message\r\n${messages.map((text, i) => `${i},"${text.replaceAll('"', '""')}"\r\n`).join('')}`,
      2,
    ],
    ['NDJSON', messages.map((message, i) => `${JSON.stringify({ to: String(i), message })}\n`).join(''), 1],
  ])('is read piece by piece without a loss or change: %s', async (kind, content, firstLine) => {
    const file = fileOf(`large.${kind.toLowerCase()}`, content);
    expect(content.length).toBeGreaterThan(4 * 65_536);
    const expected = messages.map((message, i) => ({ line: firstLine + i, otp: { to: String(i), message } }));
    expect([...readInput(file)]).toEqual(expected);
    expect(await inspectInput(file, new AbortController().signal)).toMatchObject({ lines: messages.length });
  });

  it('in CSV has a column for each kind of limit key', () => {
    const file = fileOf('keys.csv', 'to,limitKeys.user,limitKeys.device\n1,u-1,d 1\n2,,7\n3,,\n');
    expect([...readInput(file)].map(({ otp }) => otp)).toEqual([
      { to: '1', limitKeys: { user: 'u-1', device: 'd 1' } },
      { to: '2', limitKeys: { device: '7' } },
      { to: '3' },
    ]);
    const wrong = fileOf('wrong.csv', 'to,limitKeys.\n1,u-1\n');
    expect(() => [...readInput(wrong)]).toThrow(/Unknown column: "limitKeys."/);
  });

  it('in CSV has a column for each variable of the template', () => {
    const csv = 'to,template,variables.payee,variables.sum\n1,pay,"Ali, Abu",5.00\n2,pay,Eve,\n3,,,\n';
    expect([...readInput(fileOf('some.csv', csv))].map(({ otp }) => otp)).toEqual([
      { to: '1', template: 'pay', variables: { payee: 'Ali, Abu', sum: '5.00' } },
      { to: '2', template: 'pay', variables: { payee: 'Eve' } },
      { to: '3' },
    ]);
    expect(() => [...readInput(fileOf('wrong.csv', 'to,variable.payee\n1,x\n'))]).toThrow(
      /Unknown column: "variable.payee"/,
    );
  });

  it('is not read further after an abort', async () => {
    const file = fileOf('large.ndjson', '{"to":"1"}\n'.repeat(100_000));
    const reason = new Error('enough');
    await expect(inspectInput(file, AbortSignal.abort(reason))).rejects.toThrow();
  });
});

describe('line numbers', () => {
  it('are those of the file, also after skipped lines and when looked up later', () => {
    const lines = [2, 3, 7, 8, 9, 11, 20];
    const numbers = createLineNumbers();
    for (const line of lines) numbers.note(line);
    expect(lines.map((_, index) => numbers.lineOf(index))).toEqual(lines);
  });
});

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { dirname, join } from 'node:path';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keys } from '../../src/store/keys.js';
import { shopKey, startGateway } from '../api/gateway.js';
import { type FullGateway, startFullGateway } from '../support/full-gateway.js';
import { sleep } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { startRedisServer } from '../support/redis-server.js';
import { type Ended, type Run, run, settingsFor } from './run-terminal.js';
import { bulkStoppedAt, bulkToItsEnd, newFolder, resultsIn } from './upload-files.js';

let gateway: FullGateway;
let redis: Redis;
beforeAll(async () => {
  redis = await connect();
  gateway = await startFullGateway({ LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0', LIMIT_APP_PER_SECOND: '1500' });
});
afterAll(() => gateway.close());

let last = 3_000_000;
const newNumber = () => {
  last += 1;
  return `+6012${last}`;
};
/** A file of this content in a folder of its own. */
function fileOf(name: string, content: string | Buffer): string {
  const file = join(newFolder(), name);
  writeFileSync(file, content);
  return file;
}
const bulk = (args: string[], more: Run = {}) =>
  run(['bulk', ...args], { env: settingsFor(gateway), ...more });
const resultsOf = (file: string) => resultsIn(`${file}.results.ndjson`);
const callsTo = (to: string) => gateway.simulator.state.number(to).calls;
const errorIn = ({ err }: Ended) => (JSON.parse(err) as { error: { code: string } }).error;

describe('bulk', () => {
  it('sends each row of a CSV file and numbers results as a spreadsheet does', async () => {
    const [first, second] = [newNumber(), newNumber()];
    const content = [
      '\ufeffto,message,reference,ttlSeconds,maxAttempts',
      `${first},"Your ""Shop"" code,\r\nis %OTP%",r-1,60,`,
      ',,,,',
      '',
      `12,,"r,2",,`,
      `${second},,r-3,soon,2`,
      `${second},,r-4,,2`,
    ].join('\r\n');
    const file = fileOf('rows.csv', content);
    const { code, out, err } = await bulk([file, '--wait', '--defaults', '{"purpose":"login"}']);
    expect(code).toBe(1);
    expect(err).toBe('');
    expect(out).toMatch(/^accepted +2$/m);
    expect(out).toMatch(/^rejected +2 \(1 invalid_phone_number\) \(1 invalid_request\)$/m);
    expect(out).toMatch(/^sent +2$/m);
    const [head, ...results] = resultsOf(file);
    expect(head?.upload).toMatchObject({
      file: 'rows.csv',
      sha256: createHash('sha256').update(content).digest('hex'),
      lines: 4,
    });
    expect(results).toEqual([
      { line: 2, index: 0, id: expect.stringMatching(/^otp_/) },
      { line: 5, index: 1, code: 'invalid_phone_number', message: expect.any(String) },
      { line: 6, index: 2, code: 'invalid_request', message: expect.stringContaining('ttlSeconds') },
      { line: 7, index: 3, id: expect.stringMatching(/^otp_/) },
      {
        summary: {
          batchId: expect.stringMatching(/^batch_/),
          accepted: 2,
          rejected: 2,
          codes: { invalid_phone_number: 1, invalid_request: 1 },
        },
      },
    ]);
    expect(gateway.simulator.state.inbox({ mobile: first })[0]?.text).toMatch(
      /Your "Shop" code,\r?\nis \d{6}$/,
    );
    const shown = await run(['status', results[0]?.id ?? '', '--json'], { env: settingsFor(gateway) });
    expect(shown.json()).toMatchObject({ reference: 'r-1', purpose: 'login' });
    for (const said of [out, readFileSync(`${file}.results.ndjson`, 'utf8')])
      expect(said).not.toContain(first);
  });

  it.each(['ndjson', 'jsonl'])(
    'sends each line of a .%s file, also with other line ends within its JSON',
    async (ending) => {
      const [first, second] = [newNumber(), newNumber()];
      const file = fileOf(
        `lines.${ending}`,
        `{"to":"${first}","reference":"a\u2028b"}\r\n\n{"to":"${second}"}`,
      );
      const { code, json } = await bulk([file, '--json']);
      expect(code).toBe(0);
      const summary = json() as { batchId: string };
      expect(summary).toMatchObject({
        accepted: 2,
        rejected: 0,
        codes: {},
        results: `${file}.results.ndjson`,
      });
      expect(resultsOf(file).map(({ line }) => line)).toEqual([undefined, 1, 3, undefined]);
      const batch = await run(['status', summary.batchId], { env: settingsFor(gateway) });
      expect(batch.out).toMatch(/^lines +2$/m);
      const watched = await run(['status', summary.batchId, '--watch'], { env: settingsFor(gateway) });
      expect(watched).toMatchObject({ code: 0, out: expect.stringMatching(/ 2 sent\n$/) });
    },
  );

  it.each<[string, string | Buffer, RegExp]>([
    [
      'a.csv',
      'to,text\n1,2\n',
      /Unknown column: "text" \(input\): known columns are to, message, .*; nothing was sent/,
    ],
    ['b.csv', '+60123456789\n+60123456780\n', /Unknown column: \(a number: is the first row the header\?\)/],
    ['c.csv', 'message\nx\n', /The header has no column "to"/],
    ['d.csv', 'to,to\n1,2\n', /The header has the column to twice/],
    ['e.csv', 'to\n1\n1,2\n', /Row 3 has 2 cells, the header has 1/],
    ['f.csv', 'to,message\n1,2\n1,2\n+60123456789,a"b"\n', /Row 4 is not CSV/],
    ['g.csv', 'to,message\n1,"open\n1,2\n', /Row 2 is not CSV/],
    ['h.csv', `to,message\n1,"${'x'.repeat(70_000)}`, /longer than 64 KiB/],
    ['commas.csv', `to,message\n${','.repeat(200_000)}`, /longer than 64 KiB/],
    ['i.csv', Buffer.from('to,message\n1,\xe9 %OTP%\n', 'latin1'), /not UTF-8/],
    ['j.ndjson', '{"to":"1"}\n{"to":\n', /Line 2 is not a JSON object/],
    ['k.ndjson', '{"to":"1"}\n["1"]\n', /Line 2 is not a JSON object/],
    ['l.ndjson', ' '.repeat(70_000), /longer than 64 KiB/],
    ['m.ndjson', '\n\n', /The file has no OTP/],
    ['n.txt', '{}', /must end in \.csv, \.ndjson or \.jsonl/],
  ])('sends nothing of a malformed file: %s', async (name, content, said) => {
    const file = fileOf(name, content);
    const calls = gateway.simulator.state.calls.send;
    const { code, out, err } = await bulk([file]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(said);
    expect(err.replace('"+60123456789"', '')).not.toMatch(/\d{6}/);
    expect(gateway.simulator.state.calls.send).toBe(calls);
    expect(readdirSync(dirname(file))).toEqual([name]);
  });

  it('names a missing file', async () => {
    expect(await bulk(['/none.csv'])).toMatchObject({ code: 2, err: expect.stringContaining('ENOENT') });
  });

  it('shows a progress bar on a terminal and removes it', async () => {
    const file = fileOf('bar.ndjson', `{"to":"${newNumber()}"}\n`);
    const { err } = await bulk([file], { tty: true });
    const [before, shown, after] = err.split('\r\u001b[K');
    expect(shown).toMatch(/^█{24} +1\/1 .*accepted 1 +rejected 0$/);
    expect([before, after]).toEqual(['', '']);
    const again = await bulk([file, '--again'], {
      tty: true,
      env: { ...settingsFor(gateway), TERM: 'dumb' },
    });
    expect(again.err).toBe('');
  });
});

describe('bulk --wait', () => {
  it('exits 1 if OTPs were not sent in time, or were cancelled', async () => {
    // Where no worker runs.
    const redis = await startRedisServer({ appendfsync: 'everysec' });
    const idle = await startGateway({ redisUrl: redis.url });
    await expect.poll(async () => (await idle.call('GET', '/readyz')).status).toBe(200);
    const env = { ISMS_OTP_URL: idle.url, ISMS_OTP_KEY: shopKey };
    const waitFor = async (seconds: number, end: (batch: string) => Promise<unknown>) => {
      const to = newNumber();
      const file = fileOf('late.ndjson', `{"to":"${to}","sendDeadlineSeconds":${seconds}}\n`);
      const waiting = bulk([file, '--wait', '--json'], { env });
      await expect.poll(() => existsSync(`${file}.results.ndjson`) && resultsOf(file).length).toBe(3);
      await end(resultsOf(file).at(-1)?.summary?.batchId ?? '');
      return await waiting;
    };
    const expired = await waitFor(1, async () => {
      await sleep(1_100);
      await idle.store.sendAttempts.sweep();
    });
    expect(expired.out).toMatch(/"expired":1/);
    expect(expired.code).toBe(1);
    const cancelled = await waitFor(300, (batch) => idle.call('DELETE', `/v1/batches/${batch}`));
    expect(cancelled.out).toMatch(/"cancelled":1/);
    expect(cancelled.code).toBe(1);
    await idle.close();
    await redis.stop();
  });
});

describe('bulk, run again', () => {
  it('sends nothing after a finished upload without --retry-rejected or --again', async () => {
    const to = newNumber();
    const file = fileOf('once.csv', `to\n${to}\n12\n`);
    const first = (await bulk([file, '--json'])).json() as { key: string; batchId: string };
    const text = readFileSync(`${file}.results.ndjson`, 'utf8');
    // Exits as before: refused lines are not done.
    const { code, out } = await bulk([file]);
    expect(code).toBe(1);
    expect(out).toMatch(/answered before.*Nothing was sent/);
    expect(readFileSync(`${file}.results.ndjson`, 'utf8')).toBe(text);
    const refused = (await bulk([file, '--retry-rejected', '--json'])).json();
    expect(refused).toMatchObject({ key: first.key, batchId: first.batchId, accepted: 1, rejected: 1 });
    expect(readFileSync(`${file}.results.ndjson`, 'utf8')).toBe(text);
    await bulk([file, '--wait']);
    expect(callsTo(to)).toBe(1);
    const again = (await bulk([file, '--again', '--wait', '--json'])).out
      .split('\n')
      .map((line) => line && JSON.parse(line));
    expect(again[0].key).not.toBe(first.key);
    expect(again[1]).toMatchObject({ id: again[0].batchId, counts: { sent: 1 } });
    expect(callsTo(to)).toBe(2);
    expect(readFileSync(`${file}.results.ndjson.old`, 'utf8')).toBe(text);
  });

  it('refuses to resume a different upload, with advice', async () => {
    const line = `{"to":"${newNumber()}"}\n`;
    const file = fileOf('same.ndjson', line);
    await bulk([file, '--idempotency-key', 'k-1']);
    const text = readFileSync(`${file}.results.ndjson`, 'utf8');
    const other = {
      env: { ...settingsFor(gateway), ISMS_OTP_URL: gateway.url.replace('127.0.0.1', 'localhost') },
    };
    const tries = [
      await bulk([file, '--idempotency-key', 'k-2']),
      await bulk([file, '--defaults', '{"purpose":"x"}']),
      await bulk([file], other),
    ];
    writeFileSync(file, `${line}${line}`);
    tries.push(await bulk([file]), await bulk([file, '--retry-rejected']));
    for (const { code, err } of tries) {
      expect(code).toBe(2);
      expect(err).toMatch(/\(results\): choose another --results, or delete /);
    }
    expect(readFileSync(`${file}.results.ndjson`, 'utf8')).toBe(text);
  });

  it('does not resume an upload that the gateway may have forgotten', async () => {
    const file = fileOf('old.ndjson', `{"to":"${newNumber()}"}\n`);
    await bulk([file]);
    const results = `${file}.results.ndjson`;
    const old = new Date(Date.now() - 21 * 3_600_000).toISOString();
    writeFileSync(results, readFileSync(results, 'utf8').replace(/"at":"[^"]+"/, `"at":"${old}"`));
    expect(await bulk([file, '--retry-rejected'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('more than 20 hours ago'),
    });
  });

  it('does not resume an upload that the gateway has forgotten', async () => {
    const file = fileOf('forgotten.ndjson', `{"to":"1"}\n{"to":"${newNumber()}"}\n`);
    await bulk([file]);
    const text = readFileSync(`${file}.results.ndjson`, 'utf8');
    const id = resultsOf(file)[2]?.id ?? '';
    expect(await redis.del(keys.recordOfId(id))).toBe(1);
    const { code, err } = await bulk([file, '--retry-rejected']);
    expect(err).toContain(`The gateway no longer has all OTPs in ${file}.results.ndjson (results)`);
    expect(code).toBe(2);
    expect(readFileSync(`${file}.results.ndjson`, 'utf8')).toBe(text);
  });

  it('never overwrites another kind of file', async () => {
    const file = fileOf('mine.ndjson', `{"to":"${newNumber()}"}\n`);
    for (const more of [[], ['--again']]) {
      const ended = await bulk([file, '--results', file, '--json', ...more]);
      expect(ended.code).toBe(2);
      expect(errorIn(ended)).toMatchObject({ code: 'results' });
    }
    expect(readdirSync(dirname(file))).toEqual(['mine.ndjson']);
  });
});

describe('bulk, broken off', { timeout: 60_000 }, () => {
  const count = 3_000;

  function largeFile(name: string, line: (to: string) => string, head = '') {
    const numbers = Array.from({ length: count }, newNumber);
    const file = fileOf(name, head + numbers.map(line).join(''));
    return { file, numbers, env: settingsFor(gateway) };
  }

  async function sentOnce({ file, numbers, env }: ReturnType<typeof largeFile>, firstLine: number) {
    const [, ...lines] = resultsOf(file);
    const { summary } = lines.pop() ?? {};
    expect(summary).toMatchObject({ accepted: count, rejected: 0 });
    const expected = Array.from({ length: count }, (_, i) => ({ line: i + firstLine, index: i }));
    expect(lines.map(({ line, index }) => ({ line, index }))).toEqual(expected);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(count);
    // Until all of it was sent.
    expect(await run(['bulk', file, '--wait', '--json'], { env })).toMatchObject({ code: 0 });
    expect(numbers.filter((to) => callsTo(to) !== 1)).toEqual([]);
  }

  it('by Ctrl-C, resumes: one send per number, one result per line, in order', async () => {
    const upload = largeFile('ctrl-c.csv', (to) => `${to},r\n`, 'to,reference\n');
    const stopped = await bulkStoppedAt(1_000, 'SIGINT', upload);
    expect(stopped.code).toBe(130);
    expect(stopped.output).toBe(
      'isms-otp: Stopped (stopped): run it again, without --again, to resume: each line counts once\n',
    );
    const before = resultsOf(upload.file);
    expect(before.length).toBeLessThan(count);
    expect(await bulkToItsEnd(upload)).toMatchObject({ code: 0 });
    // Lines answered before have the ids that they had.
    expect(resultsOf(upload.file).slice(0, before.length)).toEqual(before);
    await sentOnce(upload, 2);
  });

  it('by kill -9, twice, resumes: one send per number, one result per line, in order', async () => {
    const upload = largeFile('kill.ndjson', (to) => `{"to":"${to}"}\n`);
    expect((await bulkStoppedAt(1_000, 'SIGKILL', upload)).code).toBe('SIGKILL');
    const before = readFileSync(`${upload.file}.results.ndjson`, 'utf8');
    expect((await bulkStoppedAt(500, 'SIGKILL', upload)).code).toBe('SIGKILL');
    // The second run keeps the results of the first.
    expect(readFileSync(`${upload.file}.results.ndjson`, 'utf8')).toBe(before);
    expect(await bulkToItsEnd(upload)).toMatchObject({ code: 0 });
    expect(readdirSync(dirname(upload.file))).toHaveLength(2);
    await sentOnce(upload, 1);
  });
});

describe('bulk, when the gateway breaks off', () => {
  /** Answers one line and then closes the connection. */
  async function startBreaking(afterMs = 50): Promise<{ server: Server; url: string; keys: string[] }> {
    const keys: string[] = [];
    const server = createServer((req, res) => {
      if (req.method === 'POST') keys.push(String(req.headers['idempotency-key']));
      req.resume();
      res.writeHead(202, { 'Content-Type': 'application/x-ndjson', Location: '/v1/batches/batch_1' });
      res.write('{"index":0,"id":"otp_1"}\n');
      setTimeout(() => res.destroy(), afterMs).unref();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    return { server, url: `http://127.0.0.1:${port}`, keys };
  }

  it('exits 4, keeps results, and resumes under the same key', async () => {
    const { server, url, keys } = await startBreaking();
    const env = { ISMS_OTP_URL: url, ISMS_OTP_KEY: gateway.key };
    const file = fileOf('broken.ndjson', '{"to":"1"}\n{"to":"2"}\n');
    const { code, out, err } = await bulk([file], { env });
    expect({ code, out }).toEqual({ code: 4, out: '' });
    expect(err).toMatch(/\(network_error\): run it again, without --again, to resume/);
    expect(resultsOf(file)).toMatchObject([{ upload: { key: keys[0] } }, { line: 1, id: 'otp_1' }]);
    const again = await bulk([file, '--json'], { env });
    expect(errorIn(again)).toMatchObject({ code: 'network_error' });
    expect(keys[1]).toBe(keys[0]);
    // The results of the first run remain, without a partial file.
    expect(resultsOf(file)).toHaveLength(2);
    expect(readdirSync(dirname(file))).toHaveLength(2);
    server.close();
  });

  it('keeps the id of its first answer, though it is killed right after', async () => {
    const { server, url } = await startBreaking(60_000);
    const env = { ISMS_OTP_URL: url, ISMS_OTP_KEY: gateway.key };
    const file = fileOf('killed.ndjson', '{"to":"1"}\n{"to":"2"}\n');
    expect((await bulkStoppedAt(3, 'SIGKILL', { file, env })).code).toBe('SIGKILL');
    expect(resultsOf(file)).toMatchObject([{ upload: { lines: 2 } }, { line: 1, id: 'otp_1' }]);
    server.close();
  });

  it('exits 4 when it is unreachable, with a results file for the next run', async () => {
    const env = { ISMS_OTP_URL: 'http://127.0.0.1:9', ISMS_OTP_KEY: gateway.key };
    const file = fileOf('none.ndjson', '{"to":"1"}\n');
    expect(await bulk([file], { env })).toMatchObject({ code: 4 });
    expect(existsSync(`${file}.results.ndjson`)).toBe(true);
  });
});

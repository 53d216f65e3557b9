import { appendFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { bulkStoppedAt, bulkToItsEnd, newFolder, resultsIn } from '../cli/upload-files.js';
import { faultRow, full } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import { apiKey, type Fleet, type FleetApi, startFleet } from './fleet.js';

const minutes = (n: number) => n * 60_000;
const count = full ? 50_000 : 3_000;
/** Slow enough in the small edition to be stopped half-way. */
const limits = {
  LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0',
  LIMIT_APP_PER_SECOND: full ? '0' : '1500',
  MAX_RESENDS_AFTER_UNKNOWN: '0',
};
const nth = (n: number) => `+6012${String(n).padStart(7, '0')}`;

let fleet: Fleet;
afterEach(() => fleet.close());

/** A file of that many OTPs, an empty line after each thousand. */
function writeInput(): string {
  const file = join(newFolder(), 'numbers.ndjson');
  for (let first = 0; first < count; first += 1_000) {
    const lines = Array.from({ length: 1_000 }, (_, i) => `{"to":"${nth(first + i)}"}\n`);
    appendFileSync(file, `${lines.join('')}\n`);
  }
  return file;
}

/** How often each number's send was called. */
function countCalls(): Uint8Array {
  const calls = new Uint8Array(count);
  fleet.simulator.watch((target) => {
    const [, n] = /[?&]mobile=12(\d{7})\b/.exec(target) ?? [];
    if (n !== undefined) calls[Number(n)] = (calls[Number(n)] ?? 0) + 1;
  });
  return calls;
}

async function sent(api: FleetApi, batchId: string): Promise<Record<string, number>> {
  for (;;) {
    const { counts } = (await api.get(`/v1/batches/${batchId}`)) as { counts?: Record<string, number> };
    if (counts && Number(counts['queued']) + Number(counts['sending']) === 0) return counts;
    await sleep(200);
  }
}

describe(`isms-otp bulk with ${count.toLocaleString('en')} lines`, {
  timeout: minutes(full ? 15 : 1),
}, () => {
  it('stopped by Ctrl-C, killed, and run to its end has called each number once, and tells of each line once', async () => {
    fleet = await startFleet(limits);
    fleet.simulator.state.change({ credits: 10_000_000, latencyMs: 20 });
    const calls = countCalls();
    const api = await fleet.startApi();
    for (let i = 0; i < 2; i++) fleet.startWorker();
    const file = writeInput();
    const command = { file, env: { ISMS_OTP_URL: api.url, ISMS_OTP_KEY: apiKey } };

    const stopped = await bulkStoppedAt(count / 3, 'SIGINT', command);
    expect(stopped).toMatchObject({
      code: 130,
      output: expect.stringContaining('run it again, without --again, to resume'),
    });
    const answeredFirst = resultsIn(`${file}.results.ndjson`).length - 1;
    expect(answeredFirst).toBeLessThan(count);
    const killed = await bulkStoppedAt(count / 3, 'SIGKILL', command);
    expect(killed.code).toBe('SIGKILL');
    expect(readdirSync(dirname(file))).toHaveLength(3);
    const began = performance.now();
    const { code, output } = await bulkToItsEnd(command);
    const tookS = (performance.now() - began) / 1_000;
    expect(code).toBe(0);

    expect(readdirSync(dirname(file))).toHaveLength(2);
    const [head, ...lines] = resultsIn(`${file}.results.ndjson`);
    const summary = lines.pop()?.summary;
    expect(head?.upload).toMatchObject({ file: 'numbers.ndjson', lines: count });
    expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(lines.map(({ line }) => line)).toEqual(
      Array.from({ length: count }, (_, i) => i + 1 + Math.floor(i / 1_000)),
    );
    expect(new Set(lines.map(({ id }) => id)).size).toBe(count);
    expect(summary).toMatchObject({ accepted: count, rejected: 0 });
    const statuses = await sent(api, summary?.batchId ?? '');
    const numbersByCalls: Record<number, number> = {};
    for (const one of calls) numbersByCalls[one] = (numbersByCalls[one] ?? 0) + 1;
    faultRow(
      `isms-otp bulk with ${count.toLocaleString('en')} lines, stopped by Ctrl-C, then killed, then run to its end; two workers, MAX_RESENDS_AFTER_UNKNOWN=0`,
      {
        linesBeforeCtrlC: answeredFirst,
        lastRunInS: Math.round(tookS * 10) / 10,
        linesPerSecond: JSON.parse(output).linesPerSecond,
        statuses,
        numbersByCalls,
      },
      'A10',
    );
    expect(numbersByCalls).toEqual({ 1: count });
  });
});

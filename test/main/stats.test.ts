import { createHash } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSimulator } from 'isms-2fa-simulator';
import { afterAll, expect, it } from 'vitest';
import { gatewayEnvironment, runCommand, written } from '../support/processes.js';
import { connect, databaseUrl } from '../support/redis.js';
import { freePort } from '../support/redis-server.js';
import { samplesOf } from '../support/samples.js';

await connect();
const full = process.env['FAULTS'] === 'full';
const uploaded = full ? 10_000 : 400;
const key = 'the-key-of-the-app-called-shop';
const simulator = await startSimulator({ username: 'tester', password: 'a-password-for-tests' });
afterAll(() => simulator.close());

const dir = await mkdtemp(join(tmpdir(), 'otp-stats-'));
const appsFile = join(dir, 'apps.json');
const digest = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const bankKey = 'the-key-of-the-app-called-bank';
const apps = {
  shop: {
    keys: [digest(key)],
    countries: ['MY', 'SG'],
    templates: { welcome: { en: 'Welcome: %OTP%' }, back: { en: 'Back: %OTP%' } },
  },
  bank: { keys: [digest(bankKey)] },
};
await writeFile(appsFile, JSON.stringify({ apps }));

interface Row {
  group: string | null;
  accepted: number;
  rejected: Record<string, number>;
  sent: number;
  verified: number;
  failed: Record<string, number>;
  unknown: number;
  credits: number;
}

async function start(command: 'api' | 'worker', started: RegExp) {
  const port = await freePort();
  const running = runCommand(command, {
    ...gatewayEnvironment(databaseUrl(), simulator),
    ...{ APPS_FILE: appsFile, PORT: '0' },
    ...{ LOG_LEVEL: 'info', METRICS_PORT: String(port) },
  });
  afterAll(() => running.end());
  await written(running, started);
  const samples = async () => samplesOf(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
  return { running, samples };
}

const apis = [await start('api', /api\.started/), await start('api', /api\.started/)];
const workers = [await start('worker', /worker\.started/), await start('worker', /worker\.started/)];
const urls = apis.map(({ running }) => /"url":"([^"]+)"[^\n]*API started/.exec(running.output)?.[1] ?? '');

const call = async (
  path: string,
  { body, by = 0, owner = key }: { body?: string; by?: number; owner?: string } = {},
) => {
  const response = await fetch(`${urls[by % urls.length]}${path}`, {
    headers: {
      Authorization: `Bearer ${owner}`,
      'Content-Type': path.includes('bulk') ? 'application/x-ndjson' : 'application/json',
    },
    ...(body !== undefined && { method: 'POST', body }),
  });
  return await response.text();
};

/** The sum of a metric over all processes, and by one of its labels. */
async function metricSums(name: string, label = '') {
  const all = await Promise.all([...apis, ...workers].map(({ samples }) => samples()));
  const sums: Record<string, number> = {};
  for (const [sample, value] of all.flatMap((one) => Object.entries(one))) {
    if (!sample.startsWith(`${name}{`) || !sample.includes('app="shop"')) continue;
    const group = new RegExp(`[{,]${label}="([^"]*)"`).exec(sample)?.[1] ?? 'all';
    sums[group] = (sums[group] ?? 0) + value;
  }
  return sums;
}

async function rowsBy(by: string): Promise<Row[]> {
  return (JSON.parse(await call(`/v1/stats?by=${by}&step=5m`)) as { rows: Row[] }).rows;
}

function summed(rows: readonly Row[], of: (row: Row) => Record<string, number>): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, count] of rows.flatMap((row) => Object.entries(of(row)))) {
    if (count > 0) sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

it('statistics equal the sums of the metrics of all processes', {
  timeout: full ? 600_000 : 60_000,
}, async () => {
  const number = (i: number) =>
    i % 4 === 0 ? `+659${String(1_000_000 + i)}` : `+6012${String(3_000_000 + i)}`;
  const lines = Array.from({ length: uploaded }, (_, i) => ({
    to: i % 97 === 5 ? '12' : number(i),
    template: i % 3 === 0 ? 'welcome' : 'back',
    ...(i % 5 !== 0 && { purpose: i % 2 === 0 ? 'login' : 'pay' }),
  }));
  // Numbers that iSMS refuses, and whose SMS it sends without a reply.
  const failing = ['+60190000002', '+60190000021'].map((to) => ({ to, template: 'back', purpose: 'login' }));
  const text = [...lines, ...failing].map((line) => JSON.stringify(line)).join('\n');
  const ids = [...(await call('/v1/otps/bulk', { body: text })).matchAll(/"index":(\d+),"id":"(\w+)"/g)];
  await call('/v1/otps', { body: JSON.stringify({ to: number(1), template: 'back' }), by: 1 });
  await call('/v1/otps', { body: '{}', by: 1 });
  await call('/v1/otps', { body: JSON.stringify({ to: '+4915112345678' }), by: 1 });
  const taken = async () => (await metricSums('isms_otp_sent_total'))['all'];
  const sendable = lines.filter(({ to }) => to !== '12').length;
  await expect.poll(taken, { timeout: full ? 400_000 : 40_000 }).toBeGreaterThanOrEqual(sendable);
  let verified = 0;
  for (const [i, [, index, id]] of ids.entries()) {
    const line = lines[Number(index)];
    if (i % 10 !== 0 || !line) continue;
    const code = simulator.lastCode(line.to);
    await call(`/v1/otps/${id}/verify`, { body: JSON.stringify({ code }), by: i });
    verified += 1;
  }
  const unknown = async () => (await metricSums('isms_otp_unknown_total'))['all'];
  await expect.poll(unknown).toBe(1);
  const accepted = (await metricSums('isms_otp_accepted_total'))['all'] ?? 0;
  expect(accepted).toBeGreaterThanOrEqual(sendable + 1);
  for (const by of ['status', 'country', 'purpose', 'template']) {
    const found = async () => {
      const rows = await rowsBy(by);
      return {
        accepted: summed(rows, (row) => ({ all: row.accepted })),
        rejected: summed(rows, (row) => row.rejected),
        sent: summed(rows, (row) => ({ all: row.sent })),
        verified: summed(rows, (row) => ({ all: row.verified })),
        failed: summed(rows, (row) => row.failed),
        unknown: summed(rows, (row) => ({ all: row.unknown })),
        credits: summed(rows, (row) => ({ all: row.credits })),
      };
    };
    const expected = {
      accepted: await metricSums('isms_otp_accepted_total'),
      rejected: await metricSums('isms_otp_rejected_total', 'code'),
      sent: await metricSums('isms_otp_sent_total'),
      verified: await metricSums('isms_otp_verified_total'),
      failed: await metricSums('isms_otp_failed_total', 'code'),
      unknown: await metricSums('isms_otp_unknown_total'),
      credits: await metricSums('isms_otp_credits_total'),
    };
    expect(expected).toMatchObject({ verified: { all: verified }, failed: { invalid_number: 1 } });
    await expect.poll(found).toEqual(expected);
  }
  const byCountry = await rowsBy('country');
  const ofCountry = (name: 'sent' | 'verified' | 'credits') =>
    summed(byCountry, (row) => ({ [`${row.group}`]: row[name] }));
  expect(ofCountry('sent')).toEqual(await metricSums('isms_otp_sent_total', 'country'));
  expect(ofCountry('verified')).toEqual(await metricSums('isms_otp_verified_total', 'country'));
  expect(ofCountry('credits')).toEqual(await metricSums('isms_otp_credits_total', 'country'));
  const groups = async (by: string) => new Set((await rowsBy(by)).map(({ group }) => group));
  expect(await groups('purpose')).toEqual(new Set([null, 'login', 'pay']));
  expect(await groups('template')).toEqual(new Set([null, 'welcome', 'back']));
  expect(JSON.parse(await call('/v1/stats', { owner: bankKey }))).toMatchObject({
    rows: [],
  });

  // What a process has counted is written before it ends.
  await call('/v1/otps', { body: '{}', by: 1 });
  expect(await apis[1]?.running.end('SIGTERM')).toBe(0);
  const invalid = summed(await rowsBy('status'), (row) => row.rejected)['invalid_request'];
  expect(invalid).toBe(2);
});

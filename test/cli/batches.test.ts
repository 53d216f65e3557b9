import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OtpClient } from 'isms-otp-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FullGateway, startFullGateway } from '../support/full-gateway.js';
import { connect } from '../support/redis.js';
import { run, settingsFor } from './run-terminal.js';
import { newFolder } from './upload-files.js';

let gateway: FullGateway;
beforeAll(async () => {
  await connect();
  gateway = await startFullGateway({ LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0' });
});
afterAll(() => gateway.close());

const ask = (...args: string[]) => run(args, { env: settingsFor(gateway) });
let last = 3_000_000;

/** Uploads a file of so many OTPs; resolves with the id of its batch. */
async function upload(count: number, ...options: string[]): Promise<string> {
  const file = join(newFolder(), 'numbers.csv');
  const numbers = Array.from({ length: count }, () => `+6012${last++}`);
  writeFileSync(file, ['to', ...numbers].join('\n'));
  const { code, json } = await ask('bulk', file, '--json', ...options);
  expect(code).toBe(0);
  return (json() as { batchId: string }).batchId;
}

describe('bulk', () => {
  it('gives the batch a name, a start and a pace', async () => {
    const startAt = new Date(Date.now() + 3_600_000).toISOString();
    const options = ['--name', 'Friday', '--start-at', startAt, '--per-second', '5'];
    const batch = await upload(2, ...options);
    const { json } = await ask('batches', 'show', batch, '--json');
    expect(json()).toMatchObject({ name: 'Friday', status: 'scheduled', startAt, perSecond: 5, waiting: 2 });
    expect((await ask('batches', 'cancel', batch)).code).toBe(0);
  });

  it('exits 2 where the start is no time, and sends nothing', async () => {
    const file = join(newFolder(), 'numbers.csv');
    writeFileSync(file, 'to\n+60123999999\n');
    const { code, err } = await ask('bulk', file, '--start-at', 'tomorrow');
    expect(code).toBe(2);
    expect(err).toMatch(/It must be a date such as 2026-11-25 \(00:00 UTC\), or a time with Z or an offset/);
    expect(gateway.simulator.state.number('+60123999999').calls).toBe(0);
  });
});

describe('batches', () => {
  it('pause, resume and cancel a batch, and show it', async () => {
    const batch = await upload(3, '--name', 'Slow one', '--per-second', '1');
    const paused = await ask('batches', 'pause', batch);
    expect(paused).toMatchObject({ code: 0, err: '' });
    expect(paused.out).toMatch(/^name +Slow one$/m);
    expect(paused.out).toMatch(/^status +paused$/m);
    expect(paused.out).toMatch(/^limit +1 a second$/m);
    expect((await ask('batches', 'resume', batch, '--json')).json()).toMatchObject({ status: 'sending' });
    const cancelled = await ask('batches', 'cancel', batch);
    expect(cancelled.out).toMatch(/^status +cancelled$/m);
    const ended = await ask('batches', 'pause', batch);
    expect(ended.code).toBe(1);
    expect(ended.err).toContain('(batch_ended)');
    const missing = await ask('batches', 'show', `batch_${'a'.repeat(22)}`);
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('(batch_not_found)') });
  });

  it('go on at once when they are resumed or started, and end at once when they are cancelled', async () => {
    const client = new OtpClient({ baseUrl: gateway.url, apiKey: gateway.key });
    const startAt = new Date(Date.now() + 3_600_000).toISOString();
    const batch = await upload(3, '--start-at', startAt);
    await ask('batches', 'pause', batch);
    await client.changeBatch(batch, { startAt: new Date(0) });
    expect(await client.getBatch(batch)).toMatchObject({ status: 'paused', counts: { queued: 3 } });
    await ask('batches', 'resume', batch);
    // Sooner than its job looks by itself.
    await expect.poll(async () => (await client.getBatch(batch)).finishedAt).not.toBeNull();
    expect(await client.getBatch(batch)).toMatchObject({ status: 'finished', counts: { sent: 3 } });
    const cancelled = await upload(3, '--start-at', startAt);
    await ask('batches', 'cancel', cancelled);
    await expect.poll(async () => (await client.getBatch(cancelled)).finishedAt).not.toBeNull();
    expect(await client.getBatch(cancelled)).toMatchObject({ status: 'cancelled', counts: { cancelled: 3 } });
  });

  it('list the newest ones first, by status and time', async () => {
    const first = await upload(1, '--name', 'First');
    const second = await upload(1);
    const { out } = await ask('batches', 'list');
    expect(out).toMatch(/^batch +created +status +lines +unsent +waiting +name\n/);
    expect(out.indexOf(second)).toBeLessThan(out.indexOf(first));
    expect(out).toMatch(new RegExp(`^${first} .* 1 .* First$`, 'm'));
    const { batches } = (await ask('batches', 'list', '--limit', '1', '--json')).json() as {
      batches: { id: string }[];
    };
    expect(batches.map(({ id }) => id)).toEqual([second]);
    const later = new Date(Date.now() + 60_000).toISOString();
    expect((await ask('batches', 'list', '--since', later)).out).toBe('no batches\n');
    expect((await ask('batches', 'list', '--since', '2020-01-01')).out).toContain('batch_');
    expect((await ask('batches', 'list', '--until', '2020-01-01')).out).toBe('no batches\n');
    expect((await ask('batches', 'list', '--status', 'cancelled')).out).not.toContain(first);
  });
});

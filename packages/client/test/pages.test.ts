import { expect, it } from 'vitest';
import { broken, json, otp, problem, startScriptedServer } from './scripted-server.js';

const server = await startScriptedServer();
const queries = () => server.requests.map(({ path }) => path.split('?')[1] ?? '');
const line = (index: number) => ({ index, ...otp });

it('a batch is listed over all pages, empty ones too, and each page is retried by itself', async () => {
  server.plays(
    json(200, { otps: [line(0), line(1)], next: '2' }),
    json(200, { otps: [], next: '10000' }),
    broken,
    json(200, { otps: [line(10_000)], next: null }),
  );
  const found: number[] = [];
  const list = server.client().listBatch('batch_1', { status: 'sent', limit: 2 });
  for await (const { index } of list) found.push(index);
  expect(found).toEqual([0, 1, 10_000]);
  expect(queries()).toEqual([
    'status=sent&limit=2',
    'status=sent&limit=2&cursor=2',
    'status=sent&limit=2&cursor=10000',
    'status=sent&limit=2&cursor=10000',
  ]);
});

it('a page is requested only when it is read', async () => {
  server.plays(json(200, { otps: [line(0), line(1)], next: '2' }));
  const list = server.client().listBatch('batch_1');
  expect(server.requests).toHaveLength(0);
  for await (const each of list) if (each.index === 1) break;
  expect(queries()).toEqual(['']);
});

it('a page whose retries failed ends the list with its error', async () => {
  server.plays(json(200, { otps: [line(0)], next: '1' }), problem('batch_not_found'));
  const list = server.client().listBatch('batch_1')[Symbol.asyncIterator]();
  expect(await list.next()).toMatchObject({ value: { index: 0 } });
  await expect(list.next()).rejects.toMatchObject({ code: 'batch_not_found' });
});

it('the balance history is listed over all pages', async () => {
  const [newest, older] = ['2026-01-02T00:00:00.000Z', '2026-01-01T00:00:00.000Z'];
  const snapshot = (at: string) => ({ at, credits: 1, expiresOn: null });
  server.plays(
    json(200, { snapshots: [snapshot(newest)], next: newest }),
    json(200, { snapshots: [snapshot(older)], next: null }),
  );
  const found: string[] = [];
  const since = new Date('2025-12-31T00:00:00Z');
  for await (const { at } of server.client().balanceHistory({ since })) found.push(at);
  expect(found).toEqual([newest, older]);
  const from = 'since=2025-12-31T00%3A00%3A00.000Z';
  expect(queries()).toEqual([`${from}&limit=1000`, `${from}&until=2026-01-02T00%3A00%3A00.000Z&limit=1000`]);
});

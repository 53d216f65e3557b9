import { beforeEach, expect, it } from 'vitest';
import { createHostOrder } from '../../src/isms/host-order.js';

const hosts = ['https://a.test', 'https://b.test', 'https://c.test'] as const;
const [a, b, c] = hosts;

let now = 0;
let seen: object[] = [];
let order = createHostOrder(hosts, () => {});

beforeEach(() => {
  now = 0;
  seen = [];
  order = createHostOrder(
    hosts,
    (host, facts) => seen.push({ host, ...facts }),
    () => now,
  );
});

it('is the configured order without a failure', () => {
  expect(order.next()).toEqual([a, b, c]);
  order.connected(b);
  expect(order.next()).toEqual([a, b, c]);
  expect(seen).toEqual([]);
});

it('has a host that failed last for 30 s, after which one call tries it in its place', () => {
  order.failed(a);
  now = 29_999;
  expect(order.next()).toEqual([b, c, a]);
  now = 30_000;
  expect(order.next()).toEqual([a, b, c]);
  expect(order.next()).toEqual([b, c, a]);
  order.connected(a);
  expect(order.next()).toEqual([a, b, c]);
});

it('is the configured order when all hosts failed', () => {
  for (const host of [c, a, b]) order.failed(host);
  expect(order.next()).toEqual([a, b, c]);
});

it('reports each failure, and only the first connection after one', () => {
  order.failed(a);
  order.failed(a);
  order.connected(a);
  order.connected(a);
  expect(seen).toEqual([
    { host: a, connected: false, isFirst: true },
    { host: a, connected: false, isFirst: false },
    { host: a, connected: true, isFirst: true },
  ]);
});

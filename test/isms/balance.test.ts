import { expect, test } from 'vitest';
import type { BalanceOutcome } from '../../src/otp/outcome.js';
import { canaries } from './account.js';
import { always, reply } from './fake-provider.js';
import { setScene } from './scene.js';

const odd: BalanceOutcome = { kind: 'unavailable', reason: 'reply_wrong_shape' };
const known = (credits: number): BalanceOutcome => ({ kind: 'known', credits, expiresOn: '2025-04-29' });
const accountTrouble: BalanceOutcome = { kind: 'account_trouble', trouble: 'authentication_failed' };

test.each<[unknown, BalanceOutcome]>([
  ['81.0', known(81)],
  [' 81.5 ', known(81.5)],
  [81, known(81)],
  ['0', known(0)],
  ['1,234.0', known(1_234)],
  ['-3', known(-3)],
  ['-1001 authentication failed', accountTrouble],
  ['-1001', accountTrouble],
  ['-1001.0', accountTrouble],
  [-1001, accountTrouble],
  ['Authentication Failed', accountTrouble],
  ['-1008', odd],
  ['', odd],
  [null, odd],
  ['NaN', odd],
  ['Infinity', odd],
  ['1e3', odd],
  ['0x10', odd],
  ['81 credits', odd],
  ['1,23', odd],
  [true, odd],
  [['81'], odd],
  ['9'.repeat(60_000), odd],
])('a balance of %j is never taken for something else', async (balance, outcome) => {
  const body = JSON.stringify({ method: 'balance', balance, expiration: '29 Apr 2025' });
  const { provider } = await setScene(always(reply(body)));
  expect(await provider.balance()).toEqual(outcome);
});

test.each<[string, BalanceOutcome]>([
  ['{"status":"Failed","message":"Authentication Failed","balance":"5"}', accountTrouble],
  ['-1001 authentication failed', accountTrouble],
  ['{"status":"Failed","message":"Sorry"}', odd],
  ['{"status":"Failed","code":-1001,"message":"Sorry","balance":"5"}', accountTrouble],
  ['{"method":"balance"}', odd],
  ['81.0', odd],
])('the body %j names no credits', async (body, outcome) => {
  const { provider } = await setScene(always(reply(body)));
  expect(await provider.balance()).toEqual(outcome);
});

test.each<[unknown, BalanceOutcome]>([
  ['-1001 authentication failed', accountTrouble],
  ['-1001', accountTrouble],
  ['Your username or password are incorrect', accountTrouble],
  [-1001, accountTrouble],
])('trouble in expiration alone (%j) is trouble, with any balance', async (expiration, outcome) => {
  for (const balance of ['81.0', '0.0', '', null, undefined]) {
    const body = JSON.stringify({ method: 'balance', balance, expiration });
    const { provider } = await setScene(always(reply(body)));
    expect(await provider.balance()).toEqual(outcome);
  }
});

test('credits in a 4xx reply do not count', async () => {
  const { provider } = await setScene(always(reply('{"balance":"81.0"}', 403)));
  expect(await provider.balance()).toEqual(odd);
});

test('a balance without a readable date is known all the same', async () => {
  const { provider } = await setScene(always(reply('{"balance":"81.0","expiration":"never"}')));
  expect(await provider.balance()).toEqual({ kind: 'known', credits: 81, expiresOn: null });
});

test('a balance call carries the account and nothing else', async () => {
  const { provider, server } = await setScene(always(reply('{}')));
  await provider.balance();
  const { searchParams } = new URL(server.targets[0] ?? '', 'http://127.0.0.1');
  expect(Object.fromEntries(searchParams)).toEqual({
    un: 'canary-user',
    pass: canaries.password,
    method: 'balance',
  });
});

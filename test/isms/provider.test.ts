import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { createIsmsProvider } from '../../src/isms/provider.js';
import { canaries, expectNoCanary, openAccount, sendCall, windowOf } from './account.js';
import { always, reply } from './fake-provider.js';
import { setScene } from './scene.js';

const options = {
  username: 'canary-user',
  password: canaries.password,
  connectTimeoutMs: 1,
  sendTimeoutMs: 1,
  verifyTimeoutMs: 1,
  sendConnections: 1,
  verifyConnections: 1,
};

test('a URL that cannot be read fails without quoting it', () => {
  const open = () => createIsmsProvider({ ...options, urls: [`//${canaries.password}@`] });
  expect(open).toThrow('The iSMS URL cannot be read.');
  try {
    open();
  } catch (error) {
    expectNoCanary(error);
  }
});

test('a printed provider shows no account', async () => {
  const provider = createIsmsProvider({ ...options, urls: ['http://127.0.0.1:9/request.php'] });
  expectNoCanary(inspect(provider, { depth: 20, showHidden: true }));
  await provider.close();
});

test('parameters of the endpoint itself are kept', async () => {
  const { server } = await setScene(always(reply('{}')));
  const provider = openAccount(`${server.url}?tenant=7`);
  await provider.send(sendCall, windowOf());
  expect(server.targets[0]).toContain('/2FA/request.php?tenant=7&un=canary-user&');
  await provider.close();
});

test('a network that fails throws nothing', async () => {
  const { provider } = await setScene((socket) => socket.resetAndDestroy());
  const calls = Array.from({ length: 20 }, () => provider.send(sendCall, windowOf()));
  const outcomes = await Promise.all(calls);
  expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome)))).toEqual(
    new Set(['{"kind":"unknown","reason":"connection_lost"}']),
  );
});

import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { OtpTimeout } from '../../src/client/index.js';
import { broken, json, otp, problem, silent, startScriptedServer } from './scripted-server.js';

const server = await startScriptedServer();
const sent = { ...otp, status: 'sent' };

it('resolves with the OTP as soon as it has left queued and sending', async () => {
  for (const status of ['sent', 'failed', 'cancelled', 'unknown', 'expired']) {
    server.plays(json(200, otp), json(200, { ...otp, status: 'sending' }), json(200, { ...otp, status }));
    expect(await server.client().waitUntilSent('otp_1')).toMatchObject({ status });
    expect(server.requests).toHaveLength(3);
  }
});

it('looks at once, then after 250 ms, and less and less often', async () => {
  const looks: number[] = [];
  server.plays((res) => {
    looks.push(performance.now());
    json(200, looks.length < 5 ? otp : sent)(res, res.req);
  });
  const before = performance.now();
  await server.client().waitUntilSent('otp_1');
  const pauses = looks.map((at, i) => at - (looks[i - 1] ?? before));
  expect(pauses[0]).toBeLessThan(200);
  for (const [i, least] of [250, 375, 562, 843].entries()) {
    expect(pauses[i + 1]).toBeGreaterThanOrEqual(least - 5);
    expect(pauses[i + 1]).toBeLessThan(least + 300);
  }
});

it('waits out what passes by itself', async () => {
  server.plays(broken, problem('internal_error'), (res) => res.writeHead(502).end(), json(200, sent));
  expect(await server.client({ retries: 0 }).waitUntilSent('otp_1')).toMatchObject({ status: 'sent' });
  expect(server.requests).toHaveLength(4);
});

it('gives up at once on an OTP that is not there', async () => {
  server.plays(problem('otp_not_found'));
  await expect(server.client().waitUntilSent('otp_1')).rejects.toMatchObject({ code: 'otp_not_found' });
});

it('rejects with the OTP last seen when its time is up', async () => {
  server.plays(json(200, otp), silent);
  const before = performance.now();
  const error = await server
    .client()
    .waitUntilSent('otp_1', { timeoutMs: 600 })
    .catch((reason) => reason);
  expect(performance.now() - before).toBeLessThan(1_000);
  expect(error).toBeInstanceOf(OtpTimeout);
  expect(error).toMatchObject({ code: 'timeout' });
  expect((error as OtpTimeout).otp).toEqual(otp);
  // Whoever logs the error logs no number.
  for (const text of [inspect(error), JSON.stringify(error)]) expect(text).not.toContain(otp.to.slice(4));
  server.plays(silent);
  const unseen = server.client().waitUntilSent('otp_1', { timeoutMs: 100 });
  const nothingSeen = await unseen.catch((reason) => reason);
  expect((nothingSeen as OtpTimeout).otp).toBeNull();
});

it('ends with the reason of its signal', async () => {
  server.plays(json(200, otp));
  const controller = new AbortController();
  const reason = new Error('enough');
  setTimeout(() => controller.abort(reason), 100);
  await expect(server.client().waitUntilSent('otp_1', { signal: controller.signal })).rejects.toBe(reason);
});

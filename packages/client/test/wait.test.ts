import { inspect } from 'node:util';
import { expect, it, onTestFinished, vi } from 'vitest';
import { type Otp, OtpTimeout } from '../src/index.js';
import { waitUntilSent } from '../src/wait.js';
import { broken, json, otp, problem, silent, startScriptedServer } from './scripted-server.js';

const server = await startScriptedServer();
const sent = { ...otp, status: 'sent' };

it('waitUntilSent resolves once the OTP is neither queued nor sending', async () => {
  for (const status of ['sent', 'failed', 'cancelled', 'unknown', 'expired']) {
    server.plays(json(200, otp), json(200, { ...otp, status: 'sending' }), json(200, { ...otp, status }));
    expect(await server.client().waitUntilSent('otp_1')).toMatchObject({ status });
    expect(server.requests).toHaveLength(3);
  }
});

it('waitUntilSent polls at once, after 250 ms, and then less often', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const looks: number[] = [];
  const began = performance.now();
  const look = async () => {
    looks.push(performance.now() - began);
    return (looks.length < 8 ? otp : sent) as Otp;
  };
  const waiting = waitUntilSent(look, {});
  await vi.advanceTimersByTimeAsync(30_000);
  await waiting;
  const pauses = looks.map((at, i) => Math.round(at - (looks[i - 1] ?? 0)));
  expect(pauses).toEqual([0, 250, 375, 562, 843, 1_265, 1_898, 2_000]);
});

it('waitUntilSent continues after temporary errors', async () => {
  server.plays(broken, problem('internal_error'), (res) => res.writeHead(502).end(), json(200, sent));
  expect(await server.client({ retries: 0 }).waitUntilSent('otp_1')).toMatchObject({ status: 'sent' });
  expect(server.requests).toHaveLength(4);
});

it('waitUntilSent rejects at once when the OTP does not exist', async () => {
  server.plays(problem('otp_not_found'));
  await expect(server.client().waitUntilSent('otp_1')).rejects.toMatchObject({ code: 'otp_not_found' });
});

it('waitUntilSent rejects at its time-out with the OTP as last read', async () => {
  server.plays(json(200, otp), silent);
  const error = await server
    .client()
    .waitUntilSent('otp_1', { timeoutMs: 2_000 })
    .catch((reason) => reason);
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

it('waitUntilSent rejects with the reason of its signal', async () => {
  server.plays(json(200, otp));
  const controller = new AbortController();
  const reason = new Error('enough');
  setTimeout(() => controller.abort(reason), 100);
  await expect(server.client().waitUntilSent('otp_1', { signal: controller.signal })).rejects.toBe(reason);
});

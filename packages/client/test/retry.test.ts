import { describe, expect, it } from 'vitest';
import type { OtpClient } from '../src/index.js';
import { backoffMs } from '../src/retry.js';
import {
  broken,
  json,
  otp,
  problem,
  type Script,
  silent,
  startScriptedServer,
  verified,
} from './scripted-server.js';

const server = await startScriptedServer();
const soon = { headers: { 'Retry-After': '1' } };
const late = { headers: { 'Retry-After': '6' } };
const unavailable = problem('queue_unavailable');
const proxy: Script = (res) => res.writeHead(503).end('no upstream');

/** What a call came to, and how often it was tried. */
const outcome = async (scripts: [Script, ...Script[]], call: (client: OtpClient) => Promise<unknown>) => {
  server.plays(...scripts);
  const result = await call(server.client()).then(
    () => 'done',
    (error: { code: string }) => error.code,
  );
  return [result, server.requests.length];
};
const keys = () => server.requests.map(({ headers }) => headers['idempotency-key']);
const get = (client: OtpClient) => client.get('otp_1');
const send = (client: OtpClient) => client.send({ to: '0123456789' });
const resend = (client: OtpClient) => client.resend('otp_1');
const cancel = (client: OtpClient) => client.cancel('otp_1');
const verify = (client: OtpClient) => client.verify('otp_1', '123456');
const verifyByNumber = (client: OtpClient) => client.verifyByNumber({ to: '0123456789', code: '123456' });

describe.each([
  ['a read', get, json(200, otp)],
  ['a send', send, json(202, otp)],
  ['a resend', resend, json(202, otp)],
  ['a cancellation', cancel, (res) => res.writeHead(204).end()],
] as [string, typeof send, Script][])('%s', (_name, call, good) => {
  it.each([
    ['a lost connection', broken],
    ['queue_unavailable', unavailable],
    ['app_rate_limited with a short Retry-After', problem('app_rate_limited', soon)],
    ['a 503 of a proxy', proxy],
  ])('is retried after %s', async (_what, bad) => {
    expect(await outcome([bad, good], call)).toEqual(['done', 2]);
  });

  it('rejects after two retries', async () => {
    expect(await outcome([broken], call)).toEqual(['network_error', 3]);
  });

  it.each([
    ['recipient_rate_limited', problem('recipient_rate_limited', soon), 'recipient_rate_limited'],
    ['client_ip_rate_limited', problem('client_ip_rate_limited', soon), 'client_ip_rate_limited'],
    ['range_blocked', problem('range_blocked', soon), 'range_blocked'],
    ['recipient_locked', problem('recipient_locked'), 'recipient_locked'],
    ['internal_error', problem('internal_error'), 'internal_error'],
    ['sending_paused', problem('sending_paused'), 'sending_paused'],
    ['overloaded with a long Retry-After', problem('overloaded', late), 'overloaded'],
    ['unauthorized', problem('unauthorized'), 'unauthorized'],
  ])('is not retried after %s', async (_what, bad, code) => {
    expect(await outcome([bad], call)).toEqual([code, 1]);
  });
});

describe('a send', () => {
  it('uses one idempotency key for all its attempts, and a new one for the next call', async () => {
    await outcome([broken, broken, json(202, otp)], send);
    const [first, ...others] = keys();
    expect(first).toMatch(/^[\x21-\x7e]{16,}$/);
    expect(others).toEqual([first, first]);
    await outcome([json(202, otp)], send);
    expect(keys()).not.toContain(first);
  });

  it('uses the given idempotency key', async () => {
    const call = (client: OtpClient) => client.send({ to: '1' }, { idempotencyKey: 'order-1' });
    await outcome([unavailable, json(202, otp)], call);
    expect(keys()).toEqual(['order-1', 'order-1']);
  });

  it('retries while its own earlier attempt is in flight', async () => {
    expect(await outcome([broken, problem('idempotency_in_flight'), json(202, otp)], send)).toEqual([
      'done',
      3,
    ]);
  });

  it('is retried within its time-out when an attempt is not answered', async () => {
    server.plays(silent, json(202, otp));
    await server.client({ timeoutMs: 3_000 }).send({ to: '1' });
    expect(keys()[1]).toBe(keys()[0]);
  });

  it('adds waitSeconds to its time-out', async () => {
    server.plays((res) => setTimeout(() => json(200, otp)(res, res.req), 1_200));
    await server.client({ timeoutMs: 1_000 }).send({ to: '1' }, { waitSeconds: 10 });
    expect(server.requests.map(({ headers }) => headers['prefer'])).toEqual(['wait=10']);
  });
});

it('a call ends within its time-out, retries included', async () => {
  server.plays(problem('queue_unavailable', { headers: { 'Retry-After': '5' } }));
  const call = server.client({ timeoutMs: 5_000 }).get('otp_1');
  await expect(call).rejects.toMatchObject({ code: 'queue_unavailable' });
  expect(server.requests).toHaveLength(1);
});

it('a call waits for Retry-After before its retry', async () => {
  server.plays(problem('queue_unavailable', soon), json(200, otp));
  const before = performance.now();
  await server.client().get('otp_1');
  expect(performance.now() - before).toBeGreaterThanOrEqual(990);
});

it('pauses between attempts grow up to 2 s, with jitter', () => {
  const pauses = Array.from({ length: 200 }, () => [backoffMs(1), backoffMs(3), backoffMs(20)]);
  const longest = [0, 1, 2].map((i) => Math.max(...pauses.map((each) => each[i] ?? 0)));
  expect(longest[0]).toBeLessThanOrEqual(100);
  expect(longest[1]).toBeGreaterThan(100);
  expect(longest[2]).toBeLessThanOrEqual(2_000);
  expect(longest[2]).toBeGreaterThan(1_000);
  expect(new Set(pauses.map(([first]) => first)).size).toBeGreaterThan(100);
});

describe.each([
  ['a verification', verify],
  ['a verification by number', verifyByNumber],
])('%s', (_name, call) => {
  const good = json(200, verified);

  it.each([
    ['a lost connection', broken],
    ['queue_unavailable', unavailable],
  ])('is retried under its idempotency key after %s', async (_what, bad) => {
    expect(await outcome([bad, good], call)).toEqual(['done', 2]);
    expect(keys()[0]).toBeDefined();
    expect(keys()[1]).toBe(keys()[0]);
  });

  it('uses at most two of the OTP’s attempts', async () => {
    expect(await outcome([broken], call)).toEqual(['network_error', 2]);
  });

  it.each([
    ['incorrect_code', problem('incorrect_code'), 'incorrect_code'],
    ['provider_unavailable', problem('provider_unavailable'), 'provider_unavailable'],
    ['verification_in_progress', problem('verification_in_progress'), 'verification_in_progress'],
    ['already_verified', problem('already_verified'), 'already_verified'],
    ['recipient_locked', problem('recipient_locked'), 'recipient_locked'],
    ['a 503 of a proxy', proxy, 'invalid_answer'],
  ])('is not retried after %s', async (_what, bad, code) => {
    expect(await outcome([bad], call)).toEqual([code, 1]);
  });

  it('is not retried while its first attempt may be in progress', async () => {
    server.plays(silent);
    const client = server.client({ timeoutMs: 1_000 });
    const error = await call(client).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'timeout', idempotencyKey: keys()[0] });
    expect(server.requests).toHaveLength(1);
  });

  it('succeeds when the attempt whose answer was lost verified the OTP', async () => {
    const already = problem('already_verified');
    expect(await outcome([broken, already, good], call)).toEqual(['done', 3]);
    expect(await outcome([broken, already], call)).toEqual(['already_verified', 3]);
    server.plays(broken, already, good);
    expect(await call(server.client({ retries: 1 }))).toMatchObject({ status: 'verified' });
  });
});

it('no call is retried with retries: 0', async () => {
  for (const call of [get, send, verify, cancel]) {
    server.plays(broken);
    await expect(call(server.client({ retries: 0 }))).rejects.toMatchObject({ code: 'network_error' });
    expect(server.requests).toHaveLength(1);
  }
});

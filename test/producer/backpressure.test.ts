import { describe, expect, it, vi } from 'vitest';
import { createBackpressure } from '../../src/producer/backpressure.js';
import type { WaitReason } from '../../src/store/waiting-lines.js';
import { expectProblem, startGateway } from '../api/gateway.js';

interface Load {
  backlog: number;
  done: number;
  memory?: number;
}

const backlogOf = (single: number) => ({ single, bulk: 0, delayed: 0 });
const waitingLines = { active: async () => [] };

/** What the load looks like at a moment, second by second. */
async function judged(looks: readonly (Load | null)[], sendDeadlineSeconds: number) {
  let second = 0;
  const current = () => looks[Math.min(second, looks.length - 1)] ?? { backlog: 0, done: 0 };
  const backpressure = createBackpressure({
    sendOtpQueue: { backlog: async () => backlogOf(current().backlog) },
    waitingLines,
    load: { done: async () => current().done, memory: async () => current().memory ?? 0 },
    now: () => second * 1_000,
  });
  for (; second < looks.length; second++) {
    if (looks[second] === null) continue;
    backpressure.refuses(sendDeadlineSeconds, null);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return backpressure.refuses(sendDeadlineSeconds, null);
}

const steady = (backlog: number, perSecond: number, seconds = 20) =>
  Array.from({ length: seconds }, (_, n) => ({ backlog, done: n * perSecond }));

describe('backpressure', () => {
  it('accepts OTPs that can be sent before their deadline at the rate of the last minute, and refuses others', async () => {
    expect(await judged(steady(10_000, 100), 120)).toBeNull();
    expect(await judged(steady(13_000, 100), 120)).toMatchObject({ reason: 'backlog', retryAfterMs: 9_000 });
    expect(await judged(steady(13_000, 100), 3_600)).toBeNull();
  });

  it('refuses OTPs while none is sent, with a retry within a minute', async () => {
    expect(await judged(steady(500, 0), 120)).toMatchObject({ reason: 'backlog', retryAfterMs: 60_000 });
  });

  it('accepts OTPs at a small backlog, and at any backlog while the rate is unknown', async () => {
    expect(await judged(steady(100, 0), 120)).toBeNull();
    expect(await judged(steady(50_000, 0, 5), 120)).toBeNull();
  });

  it('accepts OTPs while the provider is away for half a minute', async () => {
    const away = steady(2_000, 0, 30).map((look) => ({ ...look, done: 30 * 100 }));
    expect(await judged([...steady(2_000, 100, 30), ...away], 120)).toBeNull();
  });

  it('refuses OTPs while Redis is nearly full', async () => {
    expect(await judged([{ backlog: 0, done: 0, memory: 0.91 }], 120)).toMatchObject({
      reason: 'memory',
      retryAfterMs: 2_000,
    });
    expect(await judged([{ backlog: 0, done: 0, memory: 0.89 }], 120)).toBeNull();
  });

  it('leaves single OTPs a share of memory that bulk cannot take', async () => {
    for (const [memory, single, bulk] of [
      [0.79, null, null],
      [0.81, null, 'memory'],
      [0.89, null, 'memory'],
      [0.91, 'memory', 'memory'],
    ] as const) {
      const backpressure = createBackpressure({
        sendOtpQueue: { backlog: async () => backlogOf(0) },
        waitingLines,
        load: { done: async () => 0, memory: async () => memory },
      });
      backpressure.refusesBulk();
      await new Promise((resolve) => setImmediate(resolve));
      expect(backpressure.refuses(120, null)?.reason ?? null).toBe(single);
      expect(backpressure.refuses(3_600, 'shop')?.reason ?? null).toBe(bulk);
      expect(backpressure.refusesBulk()?.reason ?? null).toBe(bulk);
    }
  });

  it('samples memory ten times a second, so that bulk does not fill a small Redis between two samples', async () => {
    let [ms, asked] = [0, 0];
    const backpressure = createBackpressure({
      sendOtpQueue: { backlog: async () => backlogOf(0) },
      waitingLines,
      load: { done: async () => 0, memory: async () => ++asked / 1_000 },
      now: () => ms,
    });
    for (; ms < 1_000; ms += 10) backpressure.refusesBulk();
    expect(asked).toBe(10);
  });

  it('samples memory although the send rate cannot be read', async () => {
    let [second, memory] = [0, 0.95];
    const backpressure = createBackpressure({
      sendOtpQueue: { backlog: async () => backlogOf(0) },
      waitingLines,
      load: {
        done: async () => Promise.reject(new Error('Connection is closed.')),
        memory: async () => memory,
      },
      now: () => second * 1_000,
    });
    const next = async () => {
      second++;
      backpressure.refusesBulk();
      await new Promise((resolve) => setImmediate(resolve));
      return backpressure.refusesBulk();
    };
    expect(await next()).toMatchObject({ reason: 'memory', retryAfterMs: 2_000 });
    memory = 0.5;
    expect(await next()).toBeNull();
  });

  it('accepts a burst after an idle time, which does not count as a low rate', async () => {
    const burst = Array.from({ length: 9 }, (_, n) => ({ backlog: 900 - n * 50, done: 20 + n * 100 }));
    expect(await judged([...Array(50).fill({ backlog: 0, done: 20 }), ...burst], 120)).toBeNull();
  });

  it('accepts an OTP after a quiet time, when all samples are old', async () => {
    const looks = [...steady(13_000, 100), ...Array(30).fill(null)];
    expect(await judged(looks, 120)).toBeNull();
  });

  describe('while bulk waits', () => {
    const bulk = async (lines: Record<string, number>, waitsFor: WaitReason | null = null) => {
      let second = 0;
      const active = Object.entries(lines).map(([app, waiting]) => ({
        ...{ batch: app, app, waiting, inFlight: 0, order: 0, waitsFor },
      }));
      const backpressure = createBackpressure({
        sendOtpQueue: { backlog: async () => ({ ...backlogOf(0), bulk: 200 }) },
        waitingLines: { active: async () => active },
        load: { done: async () => second * 100, memory: async () => 0 },
        now: () => second * 1_000,
      });
      for (; second < 20; second++) {
        backpressure.refuses(3_600, 'shop');
        await new Promise((resolve) => setImmediate(resolve));
      }
      return backpressure;
    };

    it('accepts single OTPs, which overtake bulk', async () => {
      expect((await bulk({ shop: 1_000_000 })).refuses(120, null)).toBeNull();
    });

    it('refuses an app with too large a backlog, and accepts bulk of another app', async () => {
      const backpressure = await bulk({ shop: 370_000, bank: 100 });
      expect(backpressure.refuses(3_600, 'shop')).toMatchObject({ reason: 'backlog' });
      expect(backpressure.refuses(3_600, 'bank')).toBeNull();
      expect(backpressure.refuses(3_600, 'newcomer')).toBeNull();
    });

    it.each(['start', 'paused', 'pace'] as const)('leaves out lines that wait for: %s', async (waitsFor) => {
      expect((await bulk({ shop: 1_000_000 }, waitsFor)).refuses(3_600, 'shop')).toBeNull();
    });
  });

  it('samples the load at most once a second', async () => {
    let asked = 0;
    const backpressure = createBackpressure({
      sendOtpQueue: { backlog: async () => backlogOf(++asked) },
      waitingLines,
      load: { done: async () => 0, memory: async () => 0 },
    });
    for (let i = 0; i < 1_000; i++) backpressure.refuses(120, null);
    expect(asked).toBe(1);
  });
});

describe('POST /v1/otps', () => {
  it('answers 503 overloaded while Redis is nearly full, and still replays an earlier OTP', async () => {
    const gateway = await startGateway();
    const ask = (key: string) =>
      gateway.call('POST', '/v1/otps', { body: { to: '0123456789' }, headers: { 'Idempotency-Key': key } });
    expect((await ask('before')).status).toBe(202);
    const load = { addDone: async () => {}, done: async () => 0, memory: async () => 0.95 };
    const busy = await startGateway({ load });
    const again = (key: string) =>
      busy.call('POST', '/v1/otps', { body: { to: '0123456789' }, headers: { 'Idempotency-Key': key } });
    // How full it is, is read beside the first request.
    await again('before');
    let asked = 0;
    const refused = await vi.waitUntil(async () => {
      const reply = await again(`new-${asked++}`);
      return reply.status === 202 ? null : reply;
    }, 20_000);
    expectProblem(refused, 503, 'overloaded');
    expect(refused.headers.get('Retry-After')).toBe('2');
    expect(refused.json).toMatchObject({ detail: expect.stringContaining('Redis is nearly full') });
    expect((await again('before')).headers.get('Idempotent-Replayed')).toBe('true');
  });
});

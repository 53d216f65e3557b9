import { describe, expect, it } from 'vitest';
import { goodSend, startClient } from './client.js';

describe('credentials', () => {
  it.each([{ un: 'other' }, { pass: 'other' }])('are checked on every call: %o', async (wrong) => {
    const { ask, verify, simulator } = await startClient({ username: 'shop', password: 'secret-pass' });
    const sent = await ask();
    const replies = [await ask(wrong), await verify(sent, wrong), await ask({ method: 'balance', ...wrong })];
    for (const reply of replies) {
      expect(reply).toMatchObject({ status: 'Failed', message: 'Authentication Failed' });
    }
    expect(replies[0]).toMatchObject({ uuid: expect.any(String), sms_id: expect.any(String) });
    expect(simulator.state.inbox()).toHaveLength(1);
  });

  it('may be anything, but not missing, when none are configured', async () => {
    const { ask } = await startClient();
    expect(await ask({ un: 'anyone', pass: 'anything' })).toMatchObject({
      status: 'Success',
      username: 'anyone',
    });
    expect(await ask({ un: '' })).toMatchObject({ status: 'Failed', message: 'Missing Parameter' });
  });
});

describe('the endpoint', () => {
  it('takes GET only', async () => {
    const { fetch, simulator } = await startClient();
    expect(await fetch('/2FA/request.php', { method: 'POST', json: goodSend })).toMatchObject({
      status: 405,
    });
    expect(simulator.state.calls.send).toBe(0);
  });

  it('reads the last of a parameter that stands twice', async () => {
    const { fetch } = await startClient();
    const query = `${new URLSearchParams({ ...goodSend, mobile: '1' })}&mobile=123456789`;
    expect((await fetch(`/2FA/request.php?${query}`)).text).toContain('"Success"');
  });

  it('survives any query', async () => {
    const { fetch } = await startClient();
    for (const query of ['', '?', '?%', '?%ff=%', '?__proto__=x&un=1&pass=1', '?un&pass&method=balance']) {
      expect((await fetch(`/2FA/request.php${query}`)).text).toContain('"Failed"');
    }
  });

  it('waits as long as the latency says before any reply', async () => {
    const { ask, simulator } = await startClient({ settings: { latencyMs: 80 } });
    const elapsed = async () => {
      const start = performance.now();
      await ask({ method: 'balance' });
      return performance.now() - start;
    };
    expect(await elapsed()).toBeGreaterThanOrEqual(78);
    simulator.state.change({ latencyMs: { min: 40, max: 60 } });
    expect(await elapsed()).toBeGreaterThanOrEqual(38);
  });

  it('has sent the SMS before the latency is over', async () => {
    const { ask, simulator } = await startClient({ settings: { latencyMs: 60_000 }, patienceMs: 1_000 });
    await expect(ask()).rejects.toMatchObject({ name: 'HeadersTimeoutError' });
    expect(simulator.state.inbox()).toHaveLength(1);
  });
});

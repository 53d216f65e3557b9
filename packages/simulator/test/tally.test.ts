import { describe, expect, it } from 'vitest';
import { startClient } from './client.js';

describe('stats.json', () => {
  it('counts calls of each kind, SMS, credits and numbers', async () => {
    const { ask, verify, fetch } = await startClient();
    await verify(await ask());
    await ask({ mobile: '198765432', message: `${'a'.repeat(150)}%OTP%` });
    await ask({ type: '3' });
    await ask({ method: 'balance' });
    expect(JSON.parse((await fetch('/stats.json')).text)).toEqual({
      calls: { send: 3, verify: 1, balance: 1, redirected: 0 },
      sent: { sms: 2, credits: 3 },
      numbers: 2,
      duplicates: { count: 0, numbers: [] },
    });
  });

  it('names the numbers that got more than one SMS; refusals do not count', async () => {
    const { ask, fetch, simulator } = await startClient();
    await ask();
    await ask();
    await ask();
    await ask({ mobile: '198765432' });
    simulator.state.change({ trouble: 'ip_not_allowed' });
    await ask({ mobile: '198765432' });
    expect(JSON.parse((await fetch('/stats.json')).text).duplicates).toEqual({
      count: 1,
      numbers: [{ mobile: '+60123456789', sms: 3 }],
    });
  });

  it.each(['+60123456789', '60123456789', '0123456789', '123456789', '012-345 6789'])(
    'tells the calls and SMS of one number, written %s',
    async (mobile) => {
      const { ask, fetch } = await startClient();
      await ask();
      const path = `/stats.json?${new URLSearchParams({ mobile })}`;
      expect(JSON.parse((await fetch(path)).text)).toMatchObject({ number: { calls: 1, sms: 1 } });
    },
  );

  it('starts again from zero when it is deleted; the inbox stays', async () => {
    const { ask, fetch, simulator } = await startClient();
    await ask();
    await ask();
    expect(await fetch('/stats.json', { method: 'DELETE' })).toMatchObject({ status: 204 });
    expect(simulator.state.stats()).toMatchObject({
      calls: { send: 0 },
      sent: { sms: 0, credits: 0 },
      duplicates: { count: 0 },
    });
    expect(simulator.state.number('0123456789')).toEqual({ calls: 0, sms: 0 });
    expect(simulator.state.inbox({ mobile: '0123456789' })).toHaveLength(2);
  });

  it('forgets the oldest numbers first, duplicates included', async () => {
    const { ask, simulator } = await startClient({ capacity: { numbers: 2 } });
    await ask({ mobile: '111111111' });
    await ask({ mobile: '111111111' });
    await ask({ mobile: '122222222' });
    await ask({ mobile: '133333333' });
    expect(simulator.state.number('111111111')).toEqual({ calls: 0, sms: 0 });
    expect(simulator.state.number('122222222')).toEqual({ calls: 1, sms: 1 });
    expect(simulator.state.stats()).toMatchObject({ numbers: 2, duplicates: { count: 0 } });
  });
});

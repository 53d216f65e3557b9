import { describe, expect, it } from 'vitest';
import { startClient } from './client.js';

describe('credits', () => {
  it('go down by the price of each SMS, until the next is refused', async () => {
    const { ask, simulator } = await startClient({ settings: { credits: 3.5, expiresOn: null } });
    expect(await ask({ message: `${'a'.repeat(150)}%OTP%` })).toMatchObject({ status: 'Success' });
    expect(await ask()).toMatchObject({ status: 'Success' });
    expect(await ask()).toMatchObject({ status: 'Failed', message: 'Insufficient Credits' });
    expect(simulator.state.settings.credits).toBe(0.5);
    expect(simulator.state.inbox()).toHaveLength(2);
  });
});

describe('balance', () => {
  it('is two strings, as the vendor prints them', async () => {
    const { ask } = await startClient({ settings: { credits: 81, expiresOn: '2099-04-29' } });
    expect(await ask({ method: 'balance' })).toEqual({
      method: 'balance',
      balance: '81.0',
      expiration: '29 Apr 2099',
    });
  });

  it('names no date when there is none', async () => {
    const { ask } = await startClient({ settings: { expiresOn: null } });
    expect(await ask({ method: 'balance' })).toMatchObject({ expiration: '' });
  });

  it('is forfeited when the last day is over in Malaysia', async () => {
    let now = Date.parse('2026-04-29T15:59:59Z');
    const { ask } = await startClient({
      clock: () => now,
      settings: { credits: 9, expiresOn: '2026-04-29' },
    });
    expect(await ask()).toMatchObject({ status: 'Success' });
    now += 1_000;
    expect(await ask()).toMatchObject({ status: 'Failed', message: 'Account Suspended or Expired' });
    expect(await ask({ method: 'balance' })).toMatchObject({ balance: '0.0', expiration: '29 Apr 2026' });
  });
});

describe('account trouble', () => {
  it.each([
    ['authentication_failed', 'Authentication Failed'],
    ['account_suspended', 'Account Suspended or Expired'],
    ['ip_not_allowed', 'IP Not Allowed'],
  ] as const)('%s refuses all three calls until it is over', async (trouble, message) => {
    const { ask, verify, simulator } = await startClient();
    const sent = await ask();
    simulator.state.change({ trouble });
    const replies = [await ask(), await verify(sent), await ask({ method: 'balance' })];
    for (const reply of replies) expect(reply).toMatchObject({ status: 'Failed', message });
    simulator.state.change({ trouble: null });
    expect(await verify(sent)).toMatchObject({ status: 'Verified' });
    expect(simulator.state.inbox()).toHaveLength(1);
  });

  it('insufficient_credits refuses sends and shows a balance of zero, but verifies', async () => {
    const { ask, verify, simulator } = await startClient({ settings: { credits: 7 } });
    const sent = await ask();
    simulator.state.change({ trouble: 'insufficient_credits' });
    expect(await ask()).toMatchObject({ message: 'Insufficient Credits' });
    expect(await ask({ method: 'balance' })).toMatchObject({ balance: '0.0' });
    expect(await verify(sent)).toMatchObject({ status: 'Verified' });
    simulator.state.change({ trouble: null });
    expect(await ask({ method: 'balance' })).toMatchObject({ balance: '6.0' });
  });
});

describe('the wording of failures', () => {
  it('can put the number before the text, and into the balance', async () => {
    const { ask } = await startClient({ settings: { trouble: 'ip_not_allowed', failureStyle: 'code' } });
    expect(await ask()).toMatchObject({ status: 'Failed', message: '-1003 IP Not Allowed' });
    expect(await ask({ method: 'balance' })).toMatchObject({ balance: '-1003 IP Not Allowed' });
  });

  it('can be the bare number, for failures that have one', async () => {
    const { ask, call, verify } = await startClient({ settings: { failureStyle: 'bare' } });
    expect(await call({ type: '3' })).toMatchObject({ status: 200, text: '-1005' });
    const sent = await ask();
    expect(await verify(sent, { code: 'x' })).toMatchObject({ message: 'Incorrect OTP Code' });
  });
});

import { describe, expect, it } from 'vitest';
import { createUuidMaker } from '../src/outbox.js';
import { ordinary, startClient } from './client.js';

describe('what the outbox keeps', () => {
  it('of the inbox is the newest messages, newest first', async () => {
    const { ask, simulator } = await startClient({ capacity: { inbox: 2 } });
    const sent = [await ask(), await ask(), await ask()];
    expect(simulator.state.inbox().map(({ code }) => code)).toEqual([sent[2]?.['code'], sent[1]?.['code']]);
  });

  it('of the codes is the newest send calls, refused ones counted', async () => {
    const { ask, verify } = await startClient({ capacity: { sends: 3 } });
    const [first, second] = [await ask(), await ask()];
    await ask({ type: '3' });
    expect(await verify(first)).toMatchObject({ status: 'Verified' });
    await ask();
    expect(await verify(first)).toMatchObject({ message: 'Invalid UUID or SMS ID' });
    expect(await verify(second)).toMatchObject({ status: 'Verified' });
  });

  it('of one number reaches back past the inbox, through all codes that are kept', async () => {
    const { ask, simulator } = await startClient({ capacity: { inbox: 1, sends: 4 } });
    const sent = [await ask(), await ask(), await ask({ mobile: '198765432' }), await ask(), await ask()];
    const codes = simulator.state.inbox({ mobile: ordinary }).map(({ code }) => code);
    expect(codes).toEqual([sent[4]?.['code'], sent[3]?.['code'], sent[1]?.['code']]);
  });

  it('of a cleared inbox is nothing to look at, but every code', async () => {
    const { ask, verify, simulator } = await startClient();
    const sent = await ask();
    simulator.state.clearInbox();
    expect([...simulator.state.inbox(), ...simulator.state.inbox({ mobile: ordinary })]).toEqual([]);
    expect(await verify(sent)).toMatchObject({ status: 'Verified' });
    const next = await ask();
    expect(simulator.state.inbox({ mobile: ordinary })).toMatchObject([{ code: next['code'] }]);
  });

  it('gives no two sends the same ids', async () => {
    const { ask } = await startClient({ clock: () => 1_700_000_000_000 });
    const sent = await Promise.all(Array.from({ length: 50 }, () => ask()));
    expect(new Set(sent.map(({ uuid }) => uuid)).size).toBe(50);
    expect(new Set(sent.map(({ sms_id }) => sms_id)).size).toBe(50);
  });
});

describe('createUuidMaker', () => {
  it('makes version 1 UUIDs that tell the time they were made', () => {
    const now = Date.parse('2026-01-02T03:04:05.678Z');
    const [low, middle, high] = createUuidMaker(() => now)().split('-');
    const ticks = BigInt(`0x${high?.slice(1)}${middle}${low}`);
    expect(high?.[0]).toBe('1');
    expect(Number(ticks / 10_000n) - Number(122_192_928_000_000_000n / 10_000n)).toBe(now);
  });

  it('never makes the same twice, though the clock stands still or goes back', () => {
    let now = 2_000;
    const make = createUuidMaker(() => now--);
    expect(new Set(Array.from({ length: 100 }, make)).size).toBe(100);
  });
});

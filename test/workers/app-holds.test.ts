import { beforeEach, describe, expect, it } from 'vitest';
import type { AppHolds } from '../../src/store/app-holds.js';
import { type AppGate, createAppGate, type Entry } from '../../src/workers/app-holds.js';
import { number } from '../support/otps.js';

/** A Redis that takes note of everything, and holds nothing, unless a test says otherwise. */
const calm: AppHolds = {
  read: async () => [],
  noteAccepted: async () => [],
  noteRefusals: async () => ({ began: false, onHold: false }),
  takeTrial: async () => null,
  judge: async () => 'held',
};
const never = () => new Promise<never>(() => {});
const logger = { info: () => {}, warn: () => {}, error: () => {} };
let now: number;
let rows: number[];

beforeEach(() => {
  now = 100_000;
  rows = [];
});

const gateOf = (over: Partial<AppHolds> = {}): AppGate => {
  const noteRefusals: AppHolds['noteRefusals'] = async (refusals) => {
    rows.push(refusals.row.length);
    return await (over.noteRefusals ?? calm.noteRefusals)(refusals);
  };
  return createAppGate({ appHolds: { ...calm, ...over, noteRefusals }, logger, now: () => now });
};
const enter = async (gate: AppGate, app = 'shop'): Promise<Entry> => {
  const entry = await gate.enter(app);
  if (typeof entry === 'string') throw new Error(entry);
  return entry;
};
const refuse = async (gate: AppGate, n: number, claimedAt = now) => {
  const call = { app: 'shop', to: number(`01234${50_000 + n}`), claimedAt, text: 'Tidak' };
  await gate.noteRefusal(call);
};

describe('an app refused in unknown words', () => {
  it('makes one call at a time, while other apps go on, until one is accepted', async () => {
    const gate = gateOf();
    const slow = await enter(gate);
    await refuse(gate, 1);
    expect(await gate.enter('shop')).toBe('doubtful');
    expect(await gate.enter('bank')).toMatchObject({ trial: false });
    gate.noteAccepted({ app: 'bank', claimedAt: now + 1 });
    expect(await gate.enter('shop')).toBe('doubtful');
    slow.leave();
    gate.noteAccepted({ app: 'shop', claimedAt: now + 1 });
    expect(await gate.enter('shop')).toMatchObject({ trial: false });
  });

  it('makes calls as before up to the second refusal where one was accepted lately, or to an eighth of many', async () => {
    const gate = gateOf();
    gate.noteAccepted({ app: 'shop', claimedAt: now });
    await enter(gate);
    await refuse(gate, 1);
    for (let inFlight = 1; inFlight < 24; inFlight++) await enter(gate);
    await refuse(gate, 2);
    expect(await gate.enter('shop')).toMatchObject({ trial: false });
    await refuse(gate, 3);
    await refuse(gate, 4);
    expect(await gate.enter('shop')).toBe('doubtful');
  });

  it('makes calls as before after 10 s', async () => {
    const gate = gateOf();
    await enter(gate);
    await refuse(gate, 1);
    expect(await gate.enter('shop')).toBe('doubtful');
    now += 10_001;
    expect(await gate.enter('shop')).toMatchObject({ trial: false });
  });

  it('has its row told once no other call of it is under way that may still be accepted', async () => {
    const gate = gateOf();
    const slow = await enter(gate);
    await refuse(gate, 1);
    expect(rows).toEqual([]);
    slow.leave();
    await refuse(gate, 2);
    expect(rows).toEqual([2]);
  });
});

describe('an app on hold', () => {
  it('has one OTP called, by the worker that got leave', async () => {
    let waitMs = 0;
    const gate = gateOf({
      read: async () => [{ app: 'shop', since: 0, text: '', tryInMs: 5_000 }],
      takeTrial: async () => waitMs,
    });
    await gate.look();
    expect(await gate.enter('shop')).toBe('on_hold');
    now += 5_000;
    expect(await gate.enter('shop')).toMatchObject({ trial: true });
    waitMs = 10_000;
    now += 1_000;
    expect(await gate.enter('shop')).toBe('on_hold');
    expect(await gate.enter('bank')).toMatchObject({ trial: false });
  });

  it('has accepted calls written down later that Redis did not take', async () => {
    const written: [string, number][] = [];
    let isAway = true;
    const gate = gateOf({
      noteAccepted: async (newest) => {
        if (isAway) throw new Error('away');
        written.push(...newest);
        return [];
      },
    });
    gate.noteAccepted({ app: 'shop', claimedAt: 5 });
    await expect(gate.look()).rejects.toThrow('away');
    isAway = false;
    await gate.look();
    expect(written).toEqual([['shop', 5]]);
  });
});

describe('a Redis that does not answer', () => {
  it('keeps no worker waiting: refusals are noted later, and what is not known is held', async () => {
    const gate = gateOf({ noteRefusals: never, judge: never, noteAccepted: never });
    gate.noteAccepted({ app: 'shop', claimedAt: now });
    await refuse(gate, 1);
    expect(await gate.judge('shop', { failure: 'rejected', claimedAt: 1, firstAt: 1 })).toBe('held');
  });
});

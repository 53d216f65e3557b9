import { beforeEach, describe, expect, it } from 'vitest';
import type { AppHolds } from '../../src/store/app-holds.js';
import { type AppGate, type AppPermit, createAppGate } from '../../src/workers/app-gate.js';
import { number } from '../support/otps.js';

/** A Redis that takes note of everything, and holds nothing, unless a test says otherwise. */
const calm: AppHolds = {
  read: async () => [],
  noteAccepted: async () => [],
  noteRefusals: async () => ({ began: false, onHold: false }),
  takeTrial: async () => null,
  returnTrial: async () => {},
  classifyRefusal: async () => 'held',
};
const never = () => new Promise<never>(() => {});
const logger = { info: () => {}, warn: () => {}, error: () => {} };
let now: number;
let written: number[];
let pauses: Map<string, number>;
let delayedJobs: number;

beforeEach(() => {
  now = 100_000;
  written = [];
  pauses = new Map();
  delayedJobs = 0;
});

const gateOf = (over: Partial<AppHolds> = {}): AppGate => {
  const noteRefusals: AppHolds['noteRefusals'] = async (call) => {
    written.push(call.refusals.length);
    return await (over.noteRefusals ?? calm.noteRefusals)(call);
  };
  return createAppGate({
    appHolds: { ...calm, ...over, noteRefusals },
    appPauses: { read: async () => pauses },
    delayedJobs: async () => delayedJobs,
    logger,
    now: () => now,
  });
};
const acquire = async (gate: AppGate, app = 'shop'): Promise<AppPermit> => {
  const permit = await gate.acquire(app);
  if (typeof permit === 'string') throw new Error(permit);
  return permit;
};
const note = (gate: AppGate, n: number, claimedAt = now) => {
  gate.noteRefusal({ app: 'shop', to: number(`01234${50_000 + n}`), claimedAt, text: 'Tidak' });
};
const refuse = async (gate: AppGate, n: number) => {
  const permit = await acquire(gate);
  note(gate, n);
  await permit.release(true);
};

describe('an app with unrecognised refusals', () => {
  it('makes one call at a time, while other apps go on, until one is accepted', async () => {
    const gate = gateOf();
    const slow = await acquire(gate);
    note(gate, 1);
    expect(await gate.acquire('shop')).toBe('busy');
    expect(await gate.acquire('bank')).toMatchObject({ trial: false });
    gate.noteAccepted({ app: 'bank', claimedAt: now + 1 });
    expect(await gate.acquire('shop')).toBe('busy');
    gate.noteAccepted({ app: 'shop', claimedAt: now + 1 });
    await slow.release(true);
    expect(await gate.acquire('shop')).toMatchObject({ trial: false });
  });

  it('keeps its concurrency until two calls are refused after a recent success, or an eighth of many', async () => {
    const gate = gateOf();
    gate.noteAccepted({ app: 'shop', claimedAt: now });
    await acquire(gate);
    note(gate, 1);
    for (let inFlight = 1; inFlight < 24; inFlight++) await acquire(gate);
    note(gate, 2);
    expect(await gate.acquire('shop')).toMatchObject({ trial: false });
    note(gate, 3);
    note(gate, 4);
    expect(await gate.acquire('shop')).toBe('busy');
  });

  it('gets its concurrency back after 10 s', async () => {
    const gate = gateOf();
    await acquire(gate);
    note(gate, 1);
    expect(await gate.acquire('shop')).toBe('busy');
    now += 10_001;
    expect(await gate.acquire('shop')).toMatchObject({ trial: false });
  });

  it('has its refusals in a row reported once no other call of it is in flight that may be accepted', async () => {
    const gate = gateOf();
    const [slow, slower] = [await acquire(gate), await acquire(gate)];
    note(gate, 1);
    await slow.release(true);
    expect(written).toEqual([]);
    note(gate, 2);
    await slower.release(true);
    expect(written).toEqual([2]);
  });

  it('has its refusals in a row reported after 2 s beside a call that hangs, and its OTPs held until then', async () => {
    const gate = gateOf({ classifyRefusal: async () => 'final' });
    const hanging = await acquire(gate);
    for (let n = 1; n < 9; n++) note(gate, n, n);
    const refusal = { failure: 'rejected', claimedAt: 3, firstAt: 3 } as const;
    await gate.sync();
    expect(written).toEqual([]);
    expect(await gate.classifyRefusal('shop', refusal)).toBe('held');
    now += 2_000;
    await gate.sync();
    expect(written).toEqual([8]);
    expect(await gate.classifyRefusal('shop', refusal)).toBe('final');
    await hanging.release(true);
    await gate.sync();
    expect(written, 'once').toEqual([8]);
  });

  it('has refusals that Redis could not record reported with the next sync', async () => {
    let isAway = true;
    const gate = gateOf({
      noteRefusals: async () => {
        if (isAway) throw new Error('away');
        return { began: true, onHold: true };
      },
    });
    await refuse(gate, 1);
    isAway = false;
    now += 2_000;
    expect(gate.isClosed('shop')).toBe(false);
    await gate.sync();
    expect(written).toEqual([1, 1]);
    expect(gate.isClosed('shop')).toBe(true);
  });
});

describe('an app on hold', () => {
  it('has one OTP tried, by the worker that holds the trial', async () => {
    let waitMs = 0;
    const gate = gateOf({
      read: async () => [{ app: 'shop', since: 0, text: '', tryInMs: 5_000 }],
      takeTrial: async () => waitMs,
    });
    await gate.sync();
    expect(await gate.acquire('shop')).toBe('on_hold');
    now += 5_000;
    expect(await gate.acquire('shop')).toMatchObject({ trial: true });
    waitMs = 10_000;
    now += 1_000;
    expect(await gate.acquire('shop')).toBe('on_hold');
    expect(await gate.acquire('bank')).toMatchObject({ trial: false });
  });

  it('has an unused trial given back, so that the next OTP is tried at once', async () => {
    let returned = 0;
    const gate = gateOf({
      read: async () => [{ app: 'shop', since: 0, text: '', tryInMs: 0 }],
      takeTrial: async () => 0,
      returnTrial: async () => {
        returned += 1;
      },
    });
    await gate.sync();
    await (await acquire(gate)).release(false);
    expect(returned).toBe(1);
    const trial = await acquire(gate);
    expect(trial.trial).toBe(true);
    await trial.release(true);
    await trial.release(false);
    expect(returned, 'once called, it is spent').toBe(1);
  });

  it('has accepted calls recorded once per sync, however many follow', async () => {
    let writes = 0;
    const gate = gateOf({
      noteAccepted: async () => {
        writes += 1;
        if (writes < 10) gate.noteAccepted({ app: 'shop', claimedAt: now + writes });
        return [];
      },
    });
    gate.noteAccepted({ app: 'shop', claimedAt: now });
    await gate.sync();
    expect(writes).toBe(1);
  });

  it('has accepted calls recorded later that Redis could not record', async () => {
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
    await expect(gate.sync()).rejects.toThrow('away');
    isAway = false;
    await gate.sync();
    expect(written).toEqual([['shop', 5]]);
  });
});

describe('a Redis that does not answer', () => {
  it('delays no worker: refusals are recorded later, and an OTP that it could not judge is held', async () => {
    const gate = gateOf({ noteRefusals: never, classifyRefusal: never, noteAccepted: never });
    gate.noteAccepted({ app: 'shop', claimedAt: now });
    await refuse(gate, 1);
    expect(await gate.classifyRefusal('shop', { failure: 'rejected', claimedAt: 1, firstAt: 1 })).toBe(
      'held',
    );
  });
});

describe('an app that an operator paused', () => {
  it('makes no call from the first one of a process on, until it is resumed; other apps go on', async () => {
    pauses.set('shop', now);
    const gate = gateOf();
    expect(await gate.acquire('shop')).toBe('paused');
    expect(gate.isClosed('shop')).toBe(true);
    expect(await gate.acquire('bank')).toMatchObject({ trial: false });
    pauses = new Map();
    expect(await gate.acquire('shop')).toBe('paused');
    await gate.sync();
    expect(await gate.acquire('shop')).toMatchObject({ trial: false });
  });

  it('has its OTPs come back at a thousand a second at most, however many wait', async () => {
    pauses.set('shop', now);
    const gate = gateOf();
    await gate.sync();
    expect(gate.pausedWaitMs()).toBe(2_000);
    delayedJobs = 1_000_000;
    await gate.sync();
    expect(gate.pausedWaitMs()).toBe(1_000_000);
  });
});

import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { createEncrypter } from '../../src/store/encryption.js';
import { keys } from '../../src/store/keys.js';
import {
  createNumberLists,
  type NumberListEntry,
  type NumberLists,
  type NumberListTrouble,
} from '../../src/store/number-lists.js';
import { createStore } from '../../src/store/store.js';
import { balanceLimits, encryptionKey, number, operatorPauseKey, policy, request } from '../support/otps.js';
import { connect } from '../support/redis.js';

const redis = await connect();
beforeEach(() => redis.flushdb());

const newKey = randomBytes(32);
const troubles: NumberListTrouble[] = [];
beforeEach(() => {
  troubles.length = 0;
});

const optionsOf = (...encryptionKeys: [Buffer, ...Buffer[]]) => ({
  redis,
  encrypter: createEncrypter(encryptionKeys),
  policy,
  onTrouble: (trouble: NumberListTrouble) => troubles.push(trouble),
});
/** The lists as one process has them. */
const listsWith = (...encryptionKeys: [Buffer, ...Buffer[]]) =>
  createNumberLists(optionsOf(...encryptionKeys));
const entry = (list: 'allow' | 'deny', digits: string, more: Partial<NumberListEntry> = {}) => {
  return { list, digits, shown: `+${digits.slice(0, 4)}`, app: null, until: null, ...more };
};
const listOf = async (lists: NumberLists, text: string, app = 'shop') => {
  await lists.refresh();
  return lists.listOf(app, number(text));
};

describe('the allow and deny lists', () => {
  it('decide by the longest entry that fits, and between two alike by deny', async () => {
    const lists = listsWith(encryptionKey);
    expect(await listOf(lists, '+601112345678')).toBeNull();
    await lists.set(entry('deny', '6011'));
    await lists.set(entry('allow', '601112345678'));
    await lists.set(entry('deny', '60111234'));
    await lists.set(entry('allow', '6012'));
    await lists.set(entry('deny', '6012', { app: 'shop' }));
    expect(await listOf(lists, '+601112345678')).toBe('allow');
    expect(await listOf(lists, '+601112345679')).toBe('deny');
    expect(await listOf(lists, '+601122345678')).toBe('deny');
    expect(await listOf(lists, '+60123456789')).toBe('deny');
    expect(await listOf(lists, '+60123456789', 'bank')).toBe('allow');
    expect(await listOf(lists, '+60133456789')).toBeNull();
  });

  it('hold one entry of a number and app, which a later one replaces', async () => {
    const lists = listsWith(encryptionKey);
    await lists.set(entry('deny', '6011'));
    await lists.set(entry('allow', '6011', { until: Date.now() + 60_000 }));
    expect((await lists.read()).entries).toMatchObject([{ list: 'allow', digits: '6011' }]);
    expect(await lists.remove({ digits: '6011', app: 'shop' })).toBe(false);
    expect(await lists.remove({ digits: '6011', app: null })).toBe(true);
    expect(await listOf(lists, '+601112345678')).toBeNull();
  });

  it('are read again from 1 s on beside the decisions, from 2 s on before them', async () => {
    let now = 0;
    const here = listsWith(encryptionKey);
    const there = createNumberLists({ ...optionsOf(encryptionKey), now: () => now });
    expect(await listOf(there, '+60123456789')).toBeNull();
    await here.set(entry('deny', '6012'));
    now = 999;
    expect(await listOf(there, '+60123456789')).toBeNull();
    await here.read();
    expect(await listOf(there, '+60123456789')).toBeNull();
    now = 1_000;
    expect(await listOf(there, '+60123456789')).toBeNull();
    await expect.poll(() => listOf(there, '+60123456789')).toBe('deny');
    await here.remove({ digits: '6012', app: null });
    now = 2_999;
    expect(await listOf(there, '+60123456789')).toBe('deny');
    await expect.poll(() => listOf(there, '+60123456789')).toBeNull();
    await here.set(entry('deny', '6012'));
    now = 4_999;
    expect(await listOf(there, '+60123456789')).toBe('deny');
    // Their age counts from the beginning of a read.
    now = 7_000;
    const reading = there.refresh();
    now = 8_000;
    await reading;
    await here.remove({ digits: '6012', app: null });
    now = 9_000;
    expect(await listOf(there, '+60123456789')).toBeNull();
  });

  it('are not decided by as they were before an outage, however long nothing was decided since', async () => {
    let now = 0;
    const there = createNumberLists({ ...optionsOf(encryptionKey), now: () => now });
    await redis.set(keys.numberLists, 'no hash');
    expect(await listOf(there, '+60123456789')).toBeNull();
    expect(troubles).toEqual([{ kind: 'unavailable' }]);
    await redis.del(keys.numberLists);
    await listsWith(encryptionKey).set(entry('deny', '6012'));
    now = 20_000;
    expect(await listOf(there, '+60123456789')).toBe('deny');
  });

  it('forget entries whose time is over, in Redis as well', async () => {
    const lists = listsWith(encryptionKey);
    await lists.set(entry('deny', '6012', { until: Date.now() - 1 }));
    expect(await listOf(lists, '+60123456789')).toBeNull();
    expect((await lists.read()).entries).toEqual([]);
    await expect.poll(() => redis.hkeys(keys.numberLists)).toEqual(['version']);
  });

  it('show no number to readers of Redis', async () => {
    const lists = listsWith(encryptionKey);
    await lists.set(entry('deny', '60123456789', { app: 'shop' }));
    expect(JSON.stringify(await redis.hgetall(keys.numberLists))).not.toMatch(
      /60123456789|3456789|deny|shop/,
    );
  });

  it('hold 10,000 entries, and refuse more', async () => {
    const lists = listsWith(encryptionKey);
    const filled = Array.from({ length: 10_000 }, (_, n) => [`field-${n}`, 'nothing']).flat();
    await redis.hset(keys.numberLists, ...filled);
    expect(await lists.set(entry('deny', '6012'))).toBe('full');
    await redis.hdel(keys.numberLists, 'field-1');
    expect(await lists.set(entry('deny', '6012'))).toBeNull();
    expect(await lists.set(entry('allow', '6012'))).toMatchObject({ list: 'deny', digits: '6012' });
  });

  it('are encrypted with a new key in front before the old one is removed', async () => {
    await listsWith(encryptionKey).set(entry('deny', '6012'));
    const during = listsWith(newKey, encryptionKey);
    expect(await listOf(during, '+60123456789')).toBe('deny');
    const readable = async () => (await listsWith(newKey).read()).entries.length;
    await expect.poll(readable).toBe(1);
    expect(await listOf(listsWith(newKey), '+60123456789')).toBe('deny');
    expect(await during.remove({ digits: '6012', app: null })).toBe(true);
    expect((await during.read()).entries).toEqual([]);
  });

  it('report entries that cannot be decrypted, once, and apply the others', async () => {
    await listsWith(encryptionKey).set(entry('deny', '6012'));
    const lists = listsWith(newKey);
    await lists.set(entry('deny', '6013'));
    expect(await listOf(lists, '+60123456789')).toBeNull();
    expect(await listOf(lists, '+60133456789')).toBe('deny');
    expect((await lists.read()).unreadable).toBe(1);
    expect(troubles).toEqual([{ kind: 'unreadable', entries: 1 }]);
  });

  it('stay in force while Redis does not answer, which is reported once', async () => {
    const client = await connect();
    const lists = createNumberLists({ ...optionsOf(encryptionKey), redis: client });
    await lists.set(entry('deny', '6012'));
    expect(await listOf(lists, '+60123456789')).toBe('deny');
    client.disconnect();
    await expect.poll(async () => (await listOf(lists, '+60123456789')) && troubles.length).toBe(1);
    expect(await listOf(lists, '+60123456789')).toBe('deny');
    expect(troubles).toEqual([{ kind: 'unavailable' }]);
  });

  it('that a process could never read stop no OTP, and are reported', async () => {
    // A key of another kind, as for a master of a cluster that is unavailable: only this read fails.
    await redis.set(keys.numberLists, 'none');
    const onNumberListTrouble = (trouble: NumberListTrouble) => troubles.push(trouble);
    const store = createStore({
      ...optionsOf(encryptionKey),
      ...{ operatorPauseKeys: [operatorPauseKey], balanceLimits, onNumberListTrouble },
    });
    expect(await store.otps.admit(request(), null)).toMatchObject({ kind: 'created' });
    expect(store.numberLists.listOf('shop', number())).toBeNull();
    expect(troubles).toEqual([{ kind: 'unavailable' }]);
  });
});

import { randomBytes, randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { hashBinding, matchesBinding } from '../../src/otp/binding.js';
import type { Policy } from '../../src/store/script.js';
import type { Store } from '../../src/store/store.js';
import { encryptionKey, number, refused, request, sent, testStore } from '../support/otps.js';
import { connect } from '../support/redis.js';
import { redisClock } from '../support/redis-clock.js';

const redis = await connect();
beforeEach(() => redis.flushdb());

const newKey = randomBytes(32);
const to = number();

/** The same gateway before and after another encryption key was put in front. */
function rotated(overrides: Partial<Policy>, client = redis) {
  const before = testStore(client, overrides);
  const after = testStore(client, overrides, [newKey, encryptionKey]);
  return { before, after, ask: (overrides = {}) => after.otps.admit(request(overrides), null) };
}

async function typeCode(store: Store, id: string, outcome: 'correct' | 'incorrect') {
  const verification = { app: 'shop', id, token: randomUUID(), replay: null };
  const { kind } = await store.verificationAttempts.admit(verification);
  if (kind !== 'admitted') throw new Error(kind);
  await store.verificationAttempts.settle(verification, outcome);
}

describe('another encryption key in front', () => {
  it('keeps a locked number locked, until an operator lifts it', async () => {
    const { before, after, ask } = rotated({ maxWrongCodes: 1 });
    await typeCode(before, await sent(before), 'incorrect');
    expect(await ask()).toMatchObject(refused('recipient_locked'));
    expect(await after.phones.unlock('shop', to)).toBe(true);
    expect(await ask()).toMatchObject({ kind: 'created' });
  });

  it('keeps what is left of the limits of a limit key', async () => {
    const { before, ask } = rotated({});
    const keyLimits = new Map([['user', { per10Minutes: 5, perDay: 2 }]]);
    const asked = { limitKeys: { user: 'u-1' }, keyLimits };
    await before.otps.admit(request(asked), null);
    expect(await ask(asked)).toMatchObject({ quotas: [{ remaining: 0 }, { remaining: 3 }] });
    expect(await ask(asked)).toMatchObject(refused('limit_key_rate_limited'));
  });

  it('keeps what is left of the limits of a number and of a client', async () => {
    const { before, ask } = rotated({ recipientPerDay: 1, clientIpPer10Minutes: 1 });
    await before.otps.admit(request({ clientIp: '192.0.2.1' }), null);
    expect(await ask()).toMatchObject(refused('recipient_rate_limited'));
    const other = { to: number('0123456780'), clientIp: '192.0.2.1' };
    expect(await ask(other)).toMatchObject(refused('client_ip_rate_limited'));
  });

  it('keeps what a code approves, also without the older key after a resend', async () => {
    const { before, after } = rotated({});
    const otp = await after.otps.find('shop', await sent(before, { binding: hashBinding('MYR 5') }));
    const again = testStore(redis, {}, [newKey]);
    const resent = await again.otps.find('shop', await sent(after, { binding: otp?.binding ?? null }));
    for (const { binding = null } of [otp ?? {}, resent ?? {}]) {
      expect([matchesBinding(binding, 'MYR 5'), matchesBinding(binding, 'MYR 6')]).toEqual([true, false]);
    }
  });

  it('does not bring back what a right code has reset since', async () => {
    const { before, after, ask } = rotated({ maxWrongCodes: 2 });
    await typeCode(before, await sent(before), 'incorrect');
    await typeCode(after, await sent(after), 'correct');
    await typeCode(after, await sent(after), 'incorrect');
    expect(await ask()).toMatchObject({ kind: 'created' });
  });

  it('shortens no lock, whichever key a process has in front', async () => {
    const { after } = rotated({ maxWrongCodes: 1 });
    await typeCode(after, await sent(after), 'incorrect');
    const [key = ''] = await redis.keys('*:phone:*');
    const before = await redis.pttl(key);
    const mixed = testStore(redis, { maxWrongCodes: 1 }, [encryptionKey, newKey]);
    expect(await mixed.otps.admit(request(), null)).toMatchObject(refused('recipient_locked'));
    expect(await redis.pttl(key)).toBeGreaterThan(before - 60_000);
  });

  it('finds the newest OTP of a number, whichever key was in front when it was admitted', async () => {
    const { before, after } = rotated({});
    const ids = [await sent(before), await sent(after), await sent(before)];
    for (const store of [after, testStore(redis, {}, [encryptionKey, newKey])]) {
      expect((await store.phones.idsOfApp('shop', to)).sort()).toEqual([...ids].sort());
    }
  });

  it('keeps a blocked range blocked, also when the result of an OTP is noted first', async () => {
    const clock = redisClock(redis);
    const { before, after, ask } = rotated({ fraudGuard: 'enforce' }, clock.redis);
    let last = '';
    for (let n = 0; n < 20; n++) {
      last = await sent(before, { to: number(`+6012345${String(n).padStart(4, '0')}`) });
      await clock.advance(1_000);
    }
    await clock.advance(130_000);
    const pumped = { to: number('+60123459999') };
    await before.otps.admit(request(pumped), null);
    await typeCode(after, last, 'correct');
    expect(await ask(pumped)).toMatchObject(refused('range_blocked'));
    expect(await after.ranges.limited()).toMatchObject([{ range: '6012345' }]);
    expect(await after.ranges.forget('shop', '6012345')).toBe(true);
    expect(await ask(pumped)).toMatchObject({ kind: 'created' });
  });
});

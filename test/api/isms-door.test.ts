import { describe, expect, it } from 'vitest';
import { number } from '../support/otps.js';
import { account, shopKey, startGateway } from './gateway.js';

const gateway = await startGateway();
const door = (parameters: Record<string, string>, method = 'POST') => {
  const form = new URLSearchParams({ un: 'shop', pass: shopKey, ...parameters }).toString();
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const path = '/2FA/request.php';
  return method === 'POST'
    ? gateway.call(method, path, { key: null, body: form, headers })
    : gateway.call(method, `${path}?${form}`, { key: null });
};

describe('the door', () => {
  it('knows an app by its name and its own key together', async () => {
    for (const wrong of [{ un: 'bank' }, { un: 'shop', pass: account.password }, { un: '', pass: '' }]) {
      expect((await door({ method: 'balance', ...wrong })).json).toEqual({
        status: 'Failed',
        message: 'Authentication Failed',
      });
    }
    expect(gateway.logs.at(-1)).toContain('"problem":"unauthorized"');
  });

  it('is in the audit trail by GET, too, and by words of ours alone', async () => {
    const audited: object[] = [];
    const audit = { add: async (entry: object) => void audited.push(entry) };
    const watched = await startGateway({ dependencies: { store: { ...gateway.store, audit } as never } });
    const ask = (parameters: Record<string, string>) => {
      const form = new URLSearchParams({ un: 'shop', pass: shopKey, ...parameters });
      return watched.call('GET', `/2FA/request.php?${form}`, { key: null });
    };
    await ask({ method: 'verify', mobile: '123456714', country_code: '60', uuid: 'x', code: '123456' });
    await ask({ method: 'verify +60123456789 code 424242' });
    await ask({ method: 'constructor' });
    await ask({ method: 'balance' });
    expect(audited).toMatchObject([{ actor: 'app:shop', action: 'isms verify', code: 'otp_not_found' }]);
  });

  it('finds an OTP by its number and uuid together, and only the app’s own', async () => {
    const { id, code } = await gateway.sent({ to: '0123456710' });
    const uuid = Buffer.from(id.slice(6), 'base64url')
      .toString('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    const verify = (more: Record<string, string>) =>
      door({ method: 'verify', mobile: '123456710', country_code: '60', uuid, sms_id: '1', code, ...more });
    for (const wrong of [
      { mobile: '123456711' },
      { uuid: 'x' },
      { uuid: uuid.replace(/^./, (digit) => (digit === 'f' ? 'e' : 'f')) },
    ]) {
      expect((await verify(wrong)).json).toMatchObject({ status: 'Failed' });
    }
    expect((await verify({ code: '12345' })).json).toMatchObject({ message: 'Incorrect OTP Code' });
    expect((await gateway.call('GET', `/v1/otps/${id}`)).json).toMatchObject({ attemptsRemaining: 5 });
    expect((await verify({})).json).toMatchObject({ status: 'Verified' });
  });

  it('lets a code count for no longer than `interval` says', async () => {
    const { id, code } = await gateway.sent({ to: '0123456712' });
    const hex = Buffer.from(id.slice(6), 'base64url').toString('hex');
    const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    const otp = await gateway.store.otps.find('shop', id);
    const longAgo = (otp?.sentAt ?? 0) - 61_000;
    const key = `isms:{${id.slice(4, 6)}}:${id}`;
    const record = JSON.parse((await gateway.redis.get(key)) ?? '');
    const { sealed, ...facts } = { ...record, sentAt: longAgo };
    await gateway.redis.set(key, JSON.stringify({ ...facts, sealed }), 'KEEPTTL');
    const verify = (interval: string) =>
      door({ method: 'verify', mobile: '123456712', country_code: '60', uuid, sms_id: '1', code, interval });
    expect((await verify('1')).json).toMatchObject({ status: 'Failed' });
    expect((await verify('3')).json).toMatchObject({ status: 'Verified' });
  });

  it('drops what nobody waits for any more', async () => {
    const form = new URLSearchParams({ un: 'shop', pass: shopKey, country_code: '60', message: '%OTP%' });
    form.set('mobile', '123456713');
    const init = { method: 'POST', body: form, signal: AbortSignal.timeout(500) };
    await expect(fetch(`${gateway.url}/2FA/request.php`, init)).rejects.toThrow();
    const to = number('+60123456713');
    const statusOf = async () => {
      const [id = ''] = await gateway.store.phones.idsOfApp('shop', to);
      return (await gateway.store.otps.find('shop', id))?.status;
    };
    await expect.poll(statusOf, { timeout: 5_000 }).toBe('cancelled');
    expect(gateway.simulator.state.number(to.e164).calls).toBe(0);
  });

  it('answers GET only where that is allowed, and nothing at all where it is off', async () => {
    const withDoor = async (ismsDoor: 'off' | 'post') => await startGateway({ dependencies: { ismsDoor } });
    const post = await withDoor('post');
    const path = `/2FA/request.php?un=shop&pass=${shopKey}&method=balance`;
    const refused = await post.call('GET', path, { key: null });
    expect(refused.json).toEqual({ status: 'Failed', message: expect.stringMatching(/by POST/) });
    expect(post.logs.join()).not.toContain(shopKey);
    expect((await (await withDoor('off')).call('GET', path, { key: null })).status).toBe(404);
  });
});

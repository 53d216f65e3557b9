import { describe, expect, it } from 'vitest';
import { number } from '../../support/otps.js';
import { account, bankKey, type Call, type Reply, shopKey, startGateway } from '../gateway.js';

const gateway = await startGateway();
/** Calls the vendor's protocol with all parameters in the URL's query, as several public PHP apps do by POST. */
const byQuery = (parameters: Record<string, string>, call: Call = {}) => {
  const query = new URLSearchParams({ un: 'shop', pass: shopKey, ...parameters });
  return gateway.call('POST', `/2FA/request.php?${query}`, { key: null, ...call });
};
let next = 20;
const otpsOf = async (to: string) => {
  const ids = await gateway.store.phones.idsOfApp('shop', number(to));
  return await Promise.all(ids.map((id) => gateway.store.otps.find('shop', id)));
};

/** What a send answers once iSMS took its only OTP, and the text that went out. */
async function delivered(to: string, asked: Promise<Reply>) {
  await expect.poll(() => otpsOf(to)).toHaveLength(1);
  const [otp] = await otpsOf(to);
  await gateway.send(otp?.id ?? '');
  return { answer: (await asked).json, message: otp?.message };
}

/** A gateway whose audit log is at hand. */
async function startWatched() {
  const audited: object[] = [];
  const audit = { add: async (entry: object) => void audited.push(entry) };
  const watched = await startGateway({ dependencies: { store: { ...gateway.store, audit } as never } });
  return { watched, audited };
}

const ask = (parameters: Record<string, string>, method = 'POST') => {
  const form = new URLSearchParams({ un: 'shop', pass: shopKey, ...parameters }).toString();
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const path = '/2FA/request.php';
  return method === 'POST'
    ? gateway.call(method, path, { key: null, body: form, headers })
    : gateway.call(method, `${path}?${form}`, { key: null });
};

describe('the iSMS compatibility API', () => {
  it('authenticates an app by its name and key together', async () => {
    const empty = { un: 'without-key', pass: '' };
    for (const wrong of [
      { un: 'bank' },
      { un: 'shop', pass: account.password },
      { un: '', pass: '' },
      empty,
    ]) {
      expect((await ask({ method: 'balance', ...wrong })).json).toEqual({
        status: 'Failed',
        message: 'Authentication Failed',
      });
    }
    expect(gateway.logs.at(-1)).toContain('"problem":"unauthorized"');
  });

  it('refuses an OTP of a paused app in its own words', async () => {
    await gateway.store.appPauses.pause('shop');
    const reply = await ask({
      mobile: '123456716',
      country_code: '60',
      message: 'Code %OTP%',
    });
    await gateway.store.appPauses.resume('shop');
    expect(reply.json).toEqual({ status: 'Failed', message: 'The operator has paused sending of this app.' });
  });

  it('writes audit entries, also for GET, without words of the request', async () => {
    const { watched, audited } = await startWatched();
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

  it('finds only the app’s own OTP, by number and uuid together', async () => {
    const { id, code } = await gateway.sent({ to: '0123456710' });
    const uuid = Buffer.from(id.slice(6), 'base64url')
      .toString('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    const verify = (more: Record<string, string>) =>
      ask({ method: 'verify', mobile: '123456710', country_code: '60', uuid, sms_id: '1', code, ...more });
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

  it.each([
    ['no body', {}],
    ['an empty JSON array, as Laravel sends it', { body: [] }],
    ['an empty JSON object', { body: {} }],
    ['the text in a JSON body', { body: { msg: 'Kod anda %OTP%', type: 1 } }],
  ])('sends a POST with its parameters in the query and %s', async (_what, call) => {
    const mobile = `01234567${next++}`;
    const text = 'body' in call && 'msg' in call.body ? {} : { msg: 'Kod anda %OTP%' };
    const to = `+6${mobile}`;
    const asked = byQuery({ mobile, country_code: '60', type: '1', sendid: 'Shop', ...text }, call);
    expect(await delivered(to, asked)).toMatchObject({
      answer: { status: 'Success', mobile: to },
      message: 'Kod anda %OTP%',
    });
  });

  it.each(['message', 'msg'])('sends the text of the form parameter `%s`', async (name) => {
    const mobile = `1234567${next++}`;
    const asked = ask({ mobile, country_code: '60', [name]: 'Kod %OTP% sahaja' });
    expect(await delivered(`+60${mobile}`, asked)).toMatchObject({
      answer: { status: 'Success' },
      message: 'Kod %OTP% sahaja',
    });
  });

  it.each([
    ['a parameter it does not know', { text: 'Kod %OTP%' }, {}, /^text is not a parameter/],
    ['a name with a space at its end', { 'message ': 'Kod %OTP%' }, {}, /^message {2}is not a parameter/],
    ['a time to send at', { msg: 'Kod %OTP%', schedule: '2030-01-01' }, {}, /^schedule is not a parameter/],
    ['two texts', { message: 'Kod %OTP%', msg: 'Code %OTP%' }, {}, /^message appears twice/],
    [
      'another text in the body',
      { msg: 'Kod %OTP%' },
      { body: { msg: 'Code %OTP%' } },
      /^message appears twice/,
    ],
    ['a JSON text that is none', { type: '1' }, { body: { msg: ['Kod %OTP%'] } }, /^message must be text/],
    ['a JSON list of something', { type: '1' }, { body: ['Kod %OTP%'] }, /JSON/],
  ])('sends nothing when given %s, and says why', async (_what, parameters, call, message) => {
    const reply = await byQuery({ mobile: '123456799', country_code: '60', ...parameters }, call);
    expect(reply.json).toEqual({ status: 'Failed', message: expect.stringMatching(message) });
    expect(await otpsOf('+60123456799')).toEqual([]);
  });

  it.each(['caf%E9', 'caf%C3', '%ED%A0%80', '%C0%A0'])(
    'sends nothing when given a text in broken UTF-8 (%s), in a form or a query, and says how to send it',
    async (broken) => {
      const given = `un=shop&pass=${shopKey}&mobile=123456798&country_code=60`;
      const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
      const path = '/2FA/request.php';
      for (const name of ['message', 'msg']) {
        const all = `${given}&${name}=${broken}+%25OTP%25`;
        const replies = [
          await gateway.call('POST', path, { key: null, body: all, headers }),
          await gateway.call('POST', `${path}?${all}`, { key: null }),
          await gateway.call('GET', `${path}?${all}`, { key: null }),
        ];
        for (const { json } of replies) {
          expect(json).toEqual({ status: 'Failed', message: expect.stringMatching(/UTF-8.*%C3%A9/) });
        }
      }
      expect(await otpsOf('+60123456798')).toEqual([]);
    },
  );

  it('sends UTF-8 of a query, and literal percent signs', async () => {
    const mobile = `1234567${next++}`;
    const query = `un=shop&pass=${shopKey}&mobile=${mobile}&country_code=60&message=caf%C3%A9+%OTP%+100%`;
    const asked = gateway.call('GET', `/2FA/request.php?${query}`, { key: null });
    expect(await delivered(`+60${mobile}`, asked)).toMatchObject({
      answer: { status: 'Success' },
      message: 'café %OTP% 100%',
    });
  });

  it.each(['message', 'msg'])('sends nothing when `%s` is empty', async (name) => {
    const mobile = '123456797';
    for (const call of [{}, { body: { type: 1 } }, { body: { [name]: '' } }]) {
      const query = 'body' in call && name in call.body ? {} : { [name]: '' };
      const reply = await byQuery({ mobile, country_code: '60', ...query }, call);
      expect(reply.json).toEqual({ status: 'Failed', message: expect.stringMatching(/^message is empty/) });
    }
    const form = await ask({ mobile, country_code: '60', [name]: '' });
    expect(form.json).toEqual({ status: 'Failed', message: expect.stringMatching(/omit it/) });
    expect(await otpsOf('+60123456797')).toEqual([]);
  });

  it('sends the default text without `message`, also to a number with a plus and no country code', async () => {
    const mobile = `+601234567${next++}`;
    expect(await delivered(mobile, ask({ mobile }))).toMatchObject({
      answer: { status: 'Success', mobile },
      message: 'Your verification code is %OTP%. Do not share it with anyone.',
    });
  });

  it('ignores `message` in a verification', async () => {
    const { code } = await gateway.sent({ to: '0123456718' });
    const reply = await ask({ method: 'verify', mobile: '+60123456718', code, message: '' });
    expect(reply.json).toMatchObject({ status: 'Verified' });
  });

  it('cannot verify an OTP with a binding', async () => {
    const { code } = await gateway.sent({ to: '0123456725', binding: 'MYR 5 to Acme' });
    const reply = await ask({ method: 'verify', mobile: '+60123456725', code });
    expect(reply.json).toMatchObject({
      status: 'Failed',
      message: expect.stringMatching(/^[^`]*only the REST API[^`]*$/),
    });
  });

  it('verifies the app’s own newest OTP of a number without a uuid', async () => {
    const first = await gateway.sent({ to: '0123456715' });
    await gateway.store.phones.unlock('shop', number('+60123456715'));
    const newest = await gateway.sent({ to: '0123456715' });
    const verify = (more: object = {}) =>
      byQuery({ method: 'verify', mobile: '0123456715', country_code: '60', code: newest.code, ...more });
    expect((await verify({ un: 'bank', pass: bankKey })).json).toMatchObject({ status: 'Failed' });
    expect((await verify({ code: first.code === newest.code ? '000000' : first.code })).json).toMatchObject({
      status: 'Failed',
      message: 'Incorrect OTP Code',
    });
    const otp = await gateway.store.otps.find('shop', newest.id);
    expect((await verify()).json).toMatchObject({ status: 'Verified', sms_id: otp?.smsId, code: '******' });
    expect((await gateway.call('GET', `/v1/otps/${first.id}`)).json).not.toMatchObject({
      status: 'verified',
    });
    expect((await verify({ mobile: '123456716' })).json).toMatchObject({ status: 'Failed' });
  });

  it('leaves no key, code, number or text of a query in log, audit log or metrics', async () => {
    const { code } = await gateway.sent({ to: '0123456717' });
    const canaries = [shopKey, 'canary-password', code, '123456717', 'canary-text'];
    const everything = { mobile: '123456717', country_code: '60', msg: 'canary-text', code };
    const { watched, audited } = await startWatched();
    for (const method of ['GET', 'POST', 'PUT', 'OPTIONS']) {
      for (const path of ['/2FA/request.php', '/2fa/request.php', '/2FA/request.php/%zz', '/v1/otps']) {
        for (const more of [{}, { pass: 'canary-password' }, { method: 'verify' }]) {
          const query = new URLSearchParams({ un: 'shop', pass: shopKey, ...everything, ...more });
          await watched.call(method, `${path}?${query}`, { key: null });
        }
      }
    }
    const requests = () => watched.logs.filter((line) => line.includes('"http.request"')).length;
    await expect.poll(requests).toBe(4 * 4 * 3);
    expect(audited).not.toEqual([]);
    const kept = [...watched.logs, JSON.stringify(audited), (await watched.metrics.exposition()).text];
    for (const canary of canaries) {
      expect([canary, kept.some((line) => line.includes(canary))]).toEqual([canary, false]);
    }
  });

  it('rejects a code after `interval` minutes', async () => {
    const { id, code } = await gateway.sent({ to: '0123456712' });
    const hex = Buffer.from(id.slice(6), 'base64url').toString('hex');
    const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    const otp = await gateway.store.otps.find('shop', id);
    const longAgo = (otp?.sentAt ?? 0) - 61_000;
    const key = `isms:{${id.slice(4, 6)}}:${id}`;
    const record = JSON.parse((await gateway.redis.get(key)) ?? '');
    const { encrypted, ...facts } = { ...record, sentAt: longAgo };
    await gateway.redis.set(key, JSON.stringify({ ...facts, encrypted }), 'KEEPTTL');
    const verify = (interval: string) =>
      ask({ method: 'verify', mobile: '123456712', country_code: '60', uuid, sms_id: '1', code, interval });
    expect((await verify('1')).json).toMatchObject({ status: 'Failed' });
    expect((await verify('3')).json).toMatchObject({ status: 'Verified' });
  });

  it('cancels a queued OTP when the client gives up', async () => {
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

  it('answers GET only if it is allowed, and nothing if the API is off', async () => {
    const withCompatApi = async (ismsCompatApi: 'off' | 'post') =>
      await startGateway({ dependencies: { ismsCompatApi } });
    const post = await withCompatApi('post');
    const path = `/2FA/request.php?un=shop&pass=${shopKey}&method=balance`;
    const refused = await post.call('GET', path, { key: null });
    expect(refused.json).toEqual({ status: 'Failed', message: expect.stringMatching(/by POST/) });
    const posted = await post.call('POST', path, { key: null });
    expect(posted.json).toEqual({ status: 'Failed', message: expect.stringMatching(/by POST/) });
    expect(post.logs.join()).not.toContain(shopKey);
    expect((await (await withCompatApi('off')).call('GET', path, { key: null })).status).toBe(404);
  });
});

it('names http_build_query to PHP apps whose form is multipart, as cURL makes it from an array', async () => {
  const headers = { 'Content-Type': 'multipart/form-data; boundary=x' };
  const reply = await gateway.call('POST', '/2FA/request.php', { key: null, body: '--x--', headers });
  expect(reply.json).toMatchObject({
    status: 'Failed',
    message: expect.stringContaining('http_build_query($fields)'),
  });
});

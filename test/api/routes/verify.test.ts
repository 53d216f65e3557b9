import { failureNumbers } from 'isms-2fa-simulator';
import { describe, expect, it } from 'vitest';
import { keys } from '../../../src/store/keys.js';
import {
  admitted,
  claimed,
  number,
  operatorPauseKey,
  rejected,
  sent,
  testStore,
  unknown,
} from '../../support/otps.js';
import { bankKey, expectProblem, startGateway } from '../gateway.js';

const gateway = await startGateway();
const impatient = await startGateway({ verifyTimeoutMs: 1_000 });
const { store, simulator } = gateway;

const verify = (id: string, code: unknown, headers: Record<string, string> = {}) =>
  gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code }, headers });
const wrong = (code: string) => (code === '000000' ? '000001' : '000000');
const attemptsOf = async (id: string) => (await store.otps.find('shop', id))?.attemptsRemaining;

/** A gateway whose verifications reach iSMS when the test lets them. */
async function startHolding() {
  let [letGo, ask] = [() => {}, () => {}];
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  const holding = await startGateway({
    isms: (provider) => ({
      ...provider,
      verify: async (call) => {
        ask();
        await held;
        return await provider.verify(call);
      },
    }),
  });
  return { holding, asked, letGo };
}
const verifyCalls = () => simulator.state.stats().calls.verify;

describe('a code that approves something', () => {
  const binding = 'MYR 1,250.00 to Acme Sdn Bhd';
  const approve = (id: string, code: string, typed?: string, headers: Record<string, string> = {}) =>
    gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code, binding: typed }, headers });

  it('is verified with exactly that, by id and by number', async () => {
    const { id, code } = await gateway.sent({ binding });
    expect((await approve(id, code, binding)).status).toBe(200);
    const to = '+60123456711';
    const byNumber = await gateway.sent({ to, purpose: 'pay', binding: '转账 ¥5' });
    const verifyNumber = (typed: string) =>
      gateway.call('POST', '/v1/verify', {
        body: { to, purpose: 'pay', code: byNumber.code, binding: typed },
      });
    expectProblem(await verifyNumber('转账 ¥6'), 422, 'binding_mismatch');
    expect((await verifyNumber('转账 ¥5')).status).toBe(200);
  });

  it.each([
    ['other', binding, 'MYR 9,999.00 to Acme Sdn Bhd'],
    ['no', binding, undefined],
    ['a longer', binding, `${binding}.`],
    ['an unexpected', undefined, binding],
  ])(
    'is refused with %s binding: it counts as an attempt and never reaches iSMS',
    async (_, bound, typed) => {
      const { id, code } = await gateway.sent({ binding: bound, maxAttempts: 3 });
      const calls = verifyCalls();
      for (const attemptsRemaining of [2, 1]) {
        const reply = await approve(id, code, typed);
        expectProblem(reply, 422, 'binding_mismatch');
        expect(reply.json).toMatchObject({ attemptsRemaining });
        expect(reply.text).not.toContain('Acme');
      }
      expect(verifyCalls()).toBe(calls);
      expect((await approve(id, code, bound)).status).toBe(200);
    },
  );

  it('has no attempt left after as many mismatches as wrong codes', async () => {
    const { id, code } = await gateway.sent({ binding, maxAttempts: 2 });
    expectProblem(await approve(id, wrong(code), binding), 422, 'incorrect_code');
    expectProblem(await approve(id, code, 'another'), 422, 'binding_mismatch');
    expectProblem(await approve(id, code, binding), 410, 'attempts_exhausted');
  });

  it('counts its mismatches towards the lock of the number', async () => {
    const strict = await startGateway({ policy: { maxWrongCodes: 2 } });
    const { id, code } = await strict.sent({ to: '0123456712', binding });
    const typed = (text: string) =>
      strict.call('POST', `/v1/otps/${id}/verify`, { body: { code, binding: text } });
    for (let i = 0; i < 2; i++) expectProblem(await typed('another'), 422, 'binding_mismatch');
    expectProblem(await typed(binding), 429, 'recipient_locked');
    expect(strict.logs.filter((line) => line.includes('recipient.locked'))).toHaveLength(1);
    expect(strict.logs.join()).not.toMatch(/Acme|another/);
  });

  it('is replayed to the same key and binding only', async () => {
    const { id, code } = await gateway.sent({ binding });
    const headers = { 'Idempotency-Key': 'approve-1' };
    expect((await approve(id, code, binding, headers)).status).toBe(200);
    for (const typed of ['another', undefined]) {
      expectProblem(await approve(id, code, typed, headers), 409, 'already_verified');
    }
    const again = await approve(id, code, binding, headers);
    expect(again.headers.get('Idempotent-Replayed')).toBe('true');
  });

  it('lets at most one of 60 simultaneous calls through, mismatches among them, within maxAttempts', async () => {
    const { id, code } = await gateway.sent({ binding, maxAttempts: 4 });
    const calls = verifyCalls();
    const typed = Array.from({ length: 60 }, (_, n) =>
      n % 2 === 0 ? approve(id, wrong(code), binding) : approve(id, code, 'another'),
    );
    const replies = await Promise.all(typed);
    const codes = replies.map(({ json }) => (json as { code: string }).code);
    const counted = codes.filter((each) => each === 'incorrect_code' || each === 'binding_mismatch');
    expect(counted).toHaveLength(4);
    expect(verifyCalls() - calls).toBe(codes.filter((each) => each === 'incorrect_code').length);
    expectProblem(await approve(id, code, binding), 410, 'attempts_exhausted');
  });

  it('approves the same when it is sent again, and as a line of an upload', async () => {
    const { id } = await gateway.sent({ to: '0123456714', binding });
    const again = await gateway.call('POST', `/v1/otps/${id}/resend`);
    const { id: second } = again.json as { id: string };
    const code = await gateway.send(second);
    expectProblem(await approve(second, code), 422, 'binding_mismatch');
    expect((await approve(second, code, binding)).status).toBe(200);
    const body = { otps: [{ to: '0123456716', binding }] };
    const bulk = await gateway.call('POST', '/v1/otps/bulk', { body });
    const { results } = bulk.json as { results: { id: string }[] };
    const line = results[0]?.id ?? '';
    const ofLine = await gateway.send(line);
    expectProblem(await approve(line, ofLine, 'another'), 422, 'binding_mismatch');
    expect((await approve(line, ofLine, binding)).status).toBe(200);
  });

  it('never stands in Redis in clear, nor its answer', async () => {
    const reply = await gateway.call('POST', '/v1/otps', { body: { to: '0123456719', binding } });
    expect(reply.text).not.toContain('Acme');
    const { id } = reply.json as { id: string };
    const raw = (await gateway.redis.get(keys.recordOfId(id))) ?? '';
    expect(raw).toContain(id);
    expect(raw).not.toContain('Acme');
    expect(JSON.stringify(await store.otps.find('shop', id))).not.toContain('Acme');
  });

  it.each(['', 'a\nb', 'x'.repeat(201), 7])('cannot be %j, which counts as no attempt', async (typed) => {
    expectProblem(
      await gateway.call('POST', '/v1/otps', { body: { to: '0123456717', binding: typed } }),
      400,
      'invalid_request',
    );
    const { id, code } = await gateway.sent({ binding });
    const reply = await gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code, binding: typed } });
    expectProblem(reply, 400, 'invalid_request');
    expect(await attemptsOf(id)).toBe(5);
  });
});

describe('verifying a code: 200', () => {
  it('verifies a code typed with spaces or dashes', async () => {
    for (const typed of [
      (code: string) => ` ${code.slice(0, 3)} ${code.slice(3)}`,
      (code: string) => `${code.slice(0, 3)}-${code.slice(3)}`,
    ]) {
      const { id, code } = await gateway.sent();
      expect((await verify(id, typed(code))).status).toBe(200);
    }
  });

  it('answers only the call that verified; a second one gets 409', async () => {
    const { id, code } = await gateway.sent();
    const reply = await verify(id, code);
    expect(reply.status).toBe(200);
    expect(reply.json).toEqual({ id, status: 'verified', verifiedAt: expect.stringMatching(/\.\d{3}Z$/) });
    expectProblem(await verify(id, code), 409, 'already_verified');
  });

  it('repeats the answer to the same key and code only', async () => {
    const { id, code } = await gateway.sent();
    const headers = { 'Idempotency-Key': 'verify-1' };
    const first = await verify(id, code, headers);
    const calls = verifyCalls();
    const second = await verify(id, code, headers);
    expect(second.status).toBe(200);
    expect(second.text).toBe(first.text);
    expect(second.headers.get('Idempotent-Replayed')).toBe('true');
    expectProblem(await verify(id, code, { 'Idempotency-Key': 'verify-2' }), 409, 'already_verified');
    expectProblem(await verify(id, wrong(code), headers), 409, 'already_verified');
    expect(verifyCalls()).toBe(calls);
  });

  it('answers at most one of 50 simultaneous calls, which reach iSMS at most maxAttempts times', async () => {
    const { id, code } = await gateway.sent();
    const calls = verifyCalls();
    const replies = await Promise.all(Array.from({ length: 50 }, () => verify(id, code)));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(replies.filter(({ status }) => status === 409)).toHaveLength(49);
    expect(verifyCalls() - calls).toBeLessThanOrEqual(5);
  });

  it('answers none of 50 simultaneous wrong codes, and makes no attempt beyond maxAttempts', async () => {
    const { id, code } = await gateway.sent({ maxAttempts: 3 });
    const calls = verifyCalls();
    const replies = await Promise.all(Array.from({ length: 50 }, () => verify(id, wrong(code))));
    expect(replies.filter(({ status }) => status === 422)).toHaveLength(3);
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(0);
    expect(verifyCalls() - calls).toBe(3);
    expectProblem(await verify(id, code), 410, 'attempts_exhausted');
  });

  it('works while an operator has paused sending', async () => {
    const { id, code } = await gateway.sent();
    await gateway.redis.hset(operatorPauseKey, 'paused', '1');
    expect((await verify(id, code)).status).toBe(200);
    await gateway.redis.hdel(operatorPauseKey, 'paused');
  });
});

describe('verifying a code: 400', () => {
  it.each(['12345', '1234567', '12345a', '１２３４５６', '1-2-3-4-5', '', 123456, null])(
    'refuses %j, and spends no attempt',
    async (code) => {
      const id = await sent(store);
      const reply = await verify(id, code);
      expectProblem(reply, 400, 'invalid_request');
      expect(reply.json).toMatchObject({ errors: [{ path: 'code' }] });
      expect(await attemptsOf(id)).toBe(5);
    },
  );

  it('rejects a bad idempotency key without counting an attempt', async () => {
    const id = await sent(store);
    expectProblem(await verify(id, '123456', { 'Idempotency-Key': 'a b' }), 400, 'invalid_request');
    expect(await attemptsOf(id)).toBe(5);
  });
});

describe('verifying a code: 404', () => {
  it("is the same byte for byte for another app's OTP and none", async () => {
    const { id, code } = await gateway.sent();
    const other = await gateway.call('POST', `/v1/otps/${id}/verify`, { key: bankKey, body: { code } });
    const none = await verify('otp_mmAAAAAAAAAAAAAAAAAAAAAA', code);
    expectProblem(other, 404, 'otp_not_found');
    expect(other.text).toBe(none.text);
    expect(await attemptsOf(id)).toBe(5);
  });
});

describe('verifying a code: 409', () => {
  it('not_sent before and during the send', async () => {
    const id = await admitted(store);
    expectProblem(await verify(id, '123456'), 409, 'not_sent');
    await claimed(store, id);
    expectProblem(await verify(id, '123456'), 409, 'not_sent');
  });

  it('not_sent if it was not sent in time', async () => {
    const id = await admitted(store, { sendDeadlineSeconds: 0.01 });
    await expect.poll(async () => (await store.otps.find('shop', id))?.status).toBe('expired');
    expectProblem(await verify(id, '123456'), 409, 'not_sent');
  });

  it('not_verifiable if it failed or its ids are lost', async () => {
    const failed = await admitted(store);
    await store.sendAttempts.settle(await claimed(store, failed), rejected);
    expectProblem(await verify(failed, '123456'), 409, 'not_verifiable');
    const strict = testStore(gateway.redis, { maxResendsAfterUnknown: 0 });
    const lost = await admitted(strict);
    await strict.sendAttempts.settle(await claimed(strict, lost), unknown);
    expectProblem(await verify(lost, '123456'), 409, 'not_verifiable');
  });

  it('verification_in_progress while the last attempt is verified', async () => {
    const { holding, asked, letGo } = await startHolding();
    const { id, code } = await holding.sent({ maxAttempts: 1 });
    const first = holding.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
    await asked;
    expectProblem(await verify(id, code), 409, 'verification_in_progress');
    letGo();
    expect((await first).status).toBe(200);
  });
});

describe('verifying a code: 410', () => {
  it('otp_expired without a call to iSMS', async () => {
    const id = await sent(store, { ttlSeconds: 0.05 });
    await expect.poll(async () => (await store.otps.find('shop', id))?.status).toBe('expired');
    const calls = verifyCalls();
    expectProblem(await verify(id, '123456'), 410, 'otp_expired');
    expect(verifyCalls()).toBe(calls);
  });

  it('attempts_exhausted without attempts', async () => {
    const { id, code } = await gateway.sent({ maxAttempts: 1 });
    expect((await verify(id, wrong(code))).json).toMatchObject({ attemptsRemaining: 0 });
    expectProblem(await verify(id, code), 410, 'attempts_exhausted');
  });

  it('otp_cancelled, also if it was cancelled during the call to iSMS', async () => {
    const { holding, asked, letGo } = await startHolding();
    const { id, code } = await holding.sent();
    const verifying = holding.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
    await asked;
    await store.otps.cancel('shop', id);
    letGo();
    expectProblem(await verifying, 410, 'otp_cancelled');
  });
});

describe('verifying a code: 422', () => {
  it('incorrect_code tells how many attempts remain', async () => {
    const { id, code } = await gateway.sent();
    const reply = await verify(id, wrong(code));
    expectProblem(reply, 422, 'incorrect_code');
    expect(reply.json).toMatchObject({ attemptsRemaining: 4 });
    expect((await verify(id, code)).status).toBe(200);
  });
});

describe('a refusal of iSMS that does not say that the code was wrong', () => {
  const wrongCodes = async (id: string) => {
    const otp = await store.otps.find('shop', id);
    return otp && (await store.phones.known(otp.to)).map((phone) => phone.wrongCodes);
  };

  it('counts an attempt, locks no number, and answers 503 from the third OTP in a row on', async () => {
    const own = await startGateway();
    const refused = (id: string) => own.call('POST', `/v1/otps/${id}/verify`, { body: { code: '123456' } });
    const [one, two, three] = [await own.sent(), await own.sent(), await own.sent()];
    own.simulator.state.change({ refusal: 'Sistem tergendala' });
    for (const { id } of [one, one, two]) expectProblem(await refused(id), 422, 'incorrect_code');
    expect((await own.store.otps.find('shop', one.id))?.attemptsRemaining).toBe(3);
    expectProblem(await refused(three.id), 503, 'provider_unavailable');
    expectProblem(await refused(two.id), 503, 'provider_unavailable');
    const ofBank = await sent(own.store, { app: 'bank', to: number('0123456788') });
    const other = await own.call('POST', `/v1/otps/${ofBank}/verify`, {
      key: bankKey,
      body: { code: '123456' },
    });
    expectProblem(other, 422, 'incorrect_code');
    expect(await wrongCodes(one.id)).toEqual([0]);
    // An answer about the code ends the row.
    own.simulator.state.change({ refusal: null });
    expectProblem(await refused(three.id), 422, 'incorrect_code');
    expect(await wrongCodes(three.id)).toEqual([1]);
    own.simulator.state.change({ refusal: 'xyzzy' });
    expectProblem(await refused(three.id), 422, 'incorrect_code');
    expect(await wrongCodes(three.id)).toEqual([1]);
  });
});

describe('verifying a code: 503', () => {
  it.each([
    ['an error of iSMS', failureNumbers.verify_500],
    ['no answer', failureNumbers.verify_hang],
    ['a reset connection', failureNumbers.verify_reset],
    ['an answer that is neither yes nor no', failureNumbers.verify_wrong_shape],
  ])('for %s, which verifies nothing and counts the attempt', async (_what, to) => {
    const { id, code } = await impatient.sent({ to });
    const reply = await impatient.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
    expectProblem(reply, 503, 'provider_unavailable');
    expect(await store.otps.find('shop', id)).toMatchObject({ status: 'sent', attemptsRemaining: 4 });
  });

  it('for account trouble', async () => {
    const { id, code } = await gateway.sent();
    const before = (await store.phones.known(number()))[0]?.wrongCodes;
    simulator.state.change({ trouble: 'authentication_failed' });
    expectProblem(await verify(id, code), 503, 'provider_unavailable');
    expect((await store.phones.known(number()))[0]?.wrongCodes).toBe(before);
    simulator.state.change({ trouble: null });
  });

  it('gives the attempt back when the call provably did not reach iSMS', async () => {
    const own = await startGateway();
    const { id, code } = await own.sent();
    await own.simulator.close();
    const reply = await own.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
    expectProblem(reply, 503, 'provider_unavailable');
    expect(await own.store.otps.find('shop', id)).toMatchObject({ status: 'sent', attemptsRemaining: 5 });
  });
});

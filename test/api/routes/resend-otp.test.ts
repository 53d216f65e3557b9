import { describe, expect, it } from 'vitest';
import { keys } from '../../../src/store/keys.js';
import { number, request } from '../../support/otps.js';
import { bankKey, expectProblem, startGateway } from '../gateway.js';

const gateway = await startGateway();
const resend = (id: string, headers: Record<string, string> = {}, body?: object) =>
  gateway.call('POST', `/v1/otps/${id}/resend`, { headers, ...(body && { body }) });
const verify = (id: string, code: string) =>
  gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
const statusOf = async (id: string) =>
  ((await gateway.call('GET', `/v1/otps/${id}`)).json as { status: string }).status;

describe('a resend', () => {
  it('creates a new OTP for the same number and message, the only valid one from then on', async () => {
    const asked = {
      message: 'Kod %OTP%',
      reference: 'order-1',
      purpose: 'login',
      ttlSeconds: 60,
      maxAttempts: 2,
    };
    const { id, code } = await gateway.sent(asked);
    const reply = await resend(id);
    expect(reply.status).toBe(202);
    const again = reply.json as { id: string };
    expect(again.id).not.toBe(id);
    expect(again).toMatchObject({
      to: '+60123456789',
      reference: 'order-1',
      purpose: 'login',
      attemptsRemaining: 2,
    });
    expect(await gateway.store.otps.find('shop', again.id)).toMatchObject({
      message: 'Kod %OTP%',
      ttlSeconds: 60,
    });
    expectProblem(await verify(id, code), 410, 'otp_cancelled');
  });

  it('keeps the template, by which statistics count it', async () => {
    const asked = request({ to: number('0123456778'), template: 'reset' });
    const admission = await gateway.store.otps.admit(asked, null);
    if (!('otp' in admission)) throw new Error('refused');
    const { id } = (await resend(admission.otp.id)).json as { id: string };
    expect(id).not.toBe(admission.otp.id);
    expect((await gateway.store.otps.find('shop', id))?.template).toBe('reset');
  });

  it('leaves one valid code, also when the first OTP is resent repeatedly', async () => {
    const first = await gateway.sent({ to: '0123456788' });
    const other = await gateway.sent({ to: '0123456788', purpose: 'payment' });
    const again = async () => ((await resend(first.id)).json as { id: string }).id;
    const second = await again();
    const secondCode = await gateway.send(second);
    const third = await again();
    const thirdCode = await gateway.send(third);
    expectProblem(await verify(first.id, first.code), 410, 'otp_cancelled');
    expectProblem(await verify(second, secondCode), 410, 'otp_cancelled');
    expect((await verify(third, thirdCode)).status).toBe(200);
    expect((await verify(other.id, other.code)).status).toBe(200);
  });

  it('leaves one valid code, however many OTPs of the number are live', async () => {
    const asked = { to: '0123456770' };
    const all = [];
    for (let n = 0; n < 13; n++) all.push(await gateway.sent(asked));
    const [oldest] = all;
    const newest = all.at(-1);
    if (!oldest || !newest) throw new Error('none was sent');
    const again = ((await resend(newest.id)).json as { id: string }).id;
    const code = await gateway.send(again);
    expectProblem(await verify(oldest.id, oldest.code), 410, 'otp_cancelled');
    expect(await statusOf(oldest.id)).toBe('cancelled');
    expect((await verify(again, code)).status).toBe(200);
  });

  it('leaves one valid code if the earlier OTPs cannot be cancelled, and logs the failure', async () => {
    const { id, code } = await gateway.sent({ to: '0123456771' });
    const broken = await gateway.sent({ to: '0123456771' });
    await gateway.redis.multi().del(keys.recordOfId(broken.id)).lpush(keys.recordOfId(broken.id), 'x').exec();
    const again = ((await resend(id)).json as { id: string }).id;
    const newCode = await gateway.send(again);
    expectProblem(await verify(id, code), 410, 'otp_cancelled');
    expect((await verify(again, newCode)).status).toBe(200);
    const logged = gateway.logs.filter((line) => line.includes('"otp.cancel_failed"'));
    expect(logged).toEqual([expect.stringContaining(`"otpId":"${again}"`)]);
  });

  it('that is replayed late cancels no newer OTP', async () => {
    const { id } = await gateway.sent({ to: '0123456790' });
    const key = { 'Idempotency-Key': 'late' };
    const second = ((await resend(id, key)).json as { id: string }).id;
    await gateway.send(second);
    const third = ((await resend(second)).json as { id: string }).id;
    const code = await gateway.send(third);
    expect((await resend(id, key)).headers.get('Idempotent-Replayed')).toBe('true');
    expect((await verify(third, code)).status).toBe(200);
  });

  it('removes a queued earlier OTP from the queue', async () => {
    const { id } = (await gateway.call('POST', '/v1/otps', { body: { to: '0123456781' } })).json as {
      id: string;
    };
    expect((await resend(id, {}, { clientIp: '192.0.2.1' })).status).toBe(202);
    expect(await statusOf(id)).toBe('cancelled');
    expect(await gateway.redis.exists(`{isms}:otp-send:${id}`)).toBe(0);
  });

  it('counts for the client address of the first OTP', async () => {
    const limited = await startGateway({ policy: { clientIpPer10Minutes: 2 } });
    const ask = (to: string) => limited.call('POST', '/v1/otps', { body: { to, clientIp: '198.51.100.20' } });
    const { id } = (await ask('0123456791')).json as { id: string };
    const again = await limited.call('POST', `/v1/otps/${id}/resend`);
    expect(again.headers.get('RateLimit')).toContain('"client-ip";r=0');
    expectProblem(await ask('0123456792'), 429, 'client_ip_rate_limited');
    const { id: second } = again.json as { id: string };
    expectProblem(await limited.call('POST', `/v1/otps/${second}/resend`), 429, 'client_ip_rate_limited');
    const elsewhere = { body: { clientIp: '198.51.100.21' } };
    expect((await limited.call('POST', `/v1/otps/${second}/resend`, elsewhere)).status).toBe(202);
    expect((await limited.redis.keys('*')).join()).not.toContain('198.51.100');
    const records = await Promise.all([id, second].map((otp) => limited.redis.get(keys.recordOfId(otp))));
    expect(records.join()).toMatch(/"id".*"id"/s);
    expect(records.join()).not.toContain('198.51.100');
  });

  it('is replayed under the same key', async () => {
    const { id } = await gateway.sent({ to: '0123456782' });
    const first = await resend(id, { 'Idempotency-Key': 'again' });
    const second = await resend(id, { 'Idempotency-Key': 'again' });
    expect(second.headers.get('Idempotent-Replayed')).toBe('true');
    expect((second.json as { id: string }).id).toBe((first.json as { id: string }).id);
    const other = await gateway.sent({ to: '0123456783' });
    const third = await resend(other.id, { 'Idempotency-Key': 'again' });
    expect((third.json as { id: string }).id).not.toBe((first.json as { id: string }).id);
  });
});

describe('a resend is rejected with', () => {
  it('404 otp_not_found: unknown, or another app’s', async () => {
    const { id } = await gateway.sent({ to: '0123456784' });
    expectProblem(
      await gateway.call('POST', `/v1/otps/${id}/resend`, { key: bankKey }),
      404,
      'otp_not_found',
    );
    expectProblem(await resend('otp_mmAAAAAAAAAAAAAAAAAAAAAA'), 404, 'otp_not_found');
  });

  it('409 already_verified after a verification', async () => {
    const { id, code } = await gateway.sent({ to: '0123456785' });
    expect((await verify(id, code)).status).toBe(200);
    expectProblem(await resend(id), 409, 'already_verified');
  });

  it('429 over the limits of the number, and the earlier code stays valid', async () => {
    const limited = await startGateway({ policy: { recipientPer10Minutes: 1 } });
    const { id, code } = await limited.sent({ to: '0123456787' });
    expectProblem(await limited.call('POST', `/v1/otps/${id}/resend`), 429, 'recipient_rate_limited');
    expect((await limited.call('POST', `/v1/otps/${id}/verify`, { body: { code } })).status).toBe(200);
  });

  it('400 for an invalid body', async () => {
    const { id } = await gateway.sent({ to: '0123456786' });
    expectProblem(await resend(id, {}, { to: '0123456789' }), 400, 'invalid_request');
  });
});

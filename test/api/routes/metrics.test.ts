import { describe, expect, it } from 'vitest';
import { samplesOf } from '../../support/samples.js';
import { admin, expectProblem, shopKey, startGateway } from '../gateway.js';

const gateway = await startGateway();
const asAdmin = { Authorization: `Basic ${btoa(`${admin.username}:${admin.password}`)}` };
const scrape = async () => {
  const reply = await gateway.call('GET', '/metrics', { key: null, headers: asAdmin });
  return samplesOf(reply.text);
};
const send = (body: object, headers: Record<string, string> = {}) =>
  gateway.call('POST', '/v1/otps', { body, headers });

describe('/metrics', () => {
  it('is in Prometheus’s format, and not cached', async () => {
    const reply = await gateway.call('GET', '/metrics', { key: null, headers: asAdmin });
    expect(reply.status).toBe(200);
    expect(reply.headers.get('Content-Type')).toContain('text/plain; version=0.0.4');
    expect(reply.headers.get('Cache-Control')).toBe('no-store');
    expect(reply.text).toContain('isms_otp_build_info{version="0.0.0"} 1');
    expect(reply.text).toContain('nodejs_eventloop_lag_seconds');
  });

  it('counts accepted OTPs once, and rejected ones by code', async () => {
    await send({ to: '0123456701' }, { 'Idempotency-Key': 'once' });
    await send({ to: '0123456701' }, { 'Idempotency-Key': 'once' });
    await send({ to: '12' });
    await send({ nonsense: true });
    const bulk = { otps: [{ to: '0123456702' }, { to: '0123456703' }, { to: '12' }] };
    for (let i = 0; i < 2; i++) {
      const headers = { 'Idempotency-Key': 'twice' };
      expect((await gateway.call('POST', '/v1/otps/bulk', { body: bulk, headers })).status).toBe(202);
    }
    expect(await scrape()).toMatchObject({
      'isms_otp_accepted_total{app="shop",lane="single"}': 1,
      'isms_otp_accepted_total{app="shop",lane="bulk"}': 2,
      'isms_otp_rejected_total{app="shop",lane="single",code="invalid_phone_number"}': 1,
      'isms_otp_rejected_total{app="shop",lane="single",code="invalid_request"}': 1,
      'isms_otp_rejected_total{app="shop",lane="bulk",code="invalid_phone_number"}': 2,
      'isms_otp_http_request_duration_seconds_count{method="POST",route="/v1/otps",status="422"}': 1,
    });
  });

  it('counts verifications by result, and verified OTPs by country', async () => {
    const { id, code } = await gateway.sent({ to: '0123456704' });
    const verify = (guess: string) =>
      gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code: guess } });
    const wrong = code === '000000' ? '000001' : '000000';
    for (const guess of [wrong, code, code, 'x']) await verify(guess);
    expect(await scrape()).toMatchObject({
      'isms_otp_verifications_total{app="shop",result="incorrect_code"}': 1,
      'isms_otp_verifications_total{app="shop",result="verified"}': 1,
      'isms_otp_verifications_total{app="shop",result="already_verified"}': 1,
      'isms_otp_verifications_total{app="shop",result="invalid_request"}': 1,
      'isms_otp_verified_total{app="shop",country="MY"}': 1,
    });
  });

  it('counts a verification as aborted if its client disconnected', async () => {
    const { id } = await gateway.sent({ to: '0190000041' });
    const key = { Authorization: `Bearer ${shopKey}`, 'Content-Type': 'application/json' };
    const signal = AbortSignal.timeout(300);
    const call = { method: 'POST', headers: key, body: '{"code":"123456"}', signal };
    await expect(fetch(`${gateway.url}/v1/otps/${id}/verify`, call)).rejects.toThrow();
    const before = await scrape();
    await expect
      .poll(async () => (await scrape())['isms_otp_verifications_total{app="shop",result="aborted"}'])
      .toBe(1);
    const name = 'isms_otp_verifications_total{app="shop",result="verified"}';
    expect((await scrape())[name]).toBe(before[name]);
    expect(Object.keys(await scrape()).some((sample) => sample.includes('verify",status="499"'))).toBe(true);
  });

  it('has no label that a client can choose: paths, methods, unknown apps', async () => {
    await gateway.call('GET', '/v1/otps/otp_anything');
    await gateway.call('GET', '/made-up/0123456789');
    await gateway.call('POST', '/v1/otps', {
      key: 'a-key-that-nobody-has-at-all',
      body: { to: '0123456789' },
    });
    const samples = Object.keys(await scrape());
    expect(samples.filter((sample) => /made-up|anything|0123456789|123456789/.test(sample))).toEqual([]);
    expect(samples.some((sample) => sample.includes('route="none",status="404"'))).toBe(true);
  });
});

describe('/metrics: 401', () => {
  it('without the admin login, also with an API key', async () => {
    expectProblem(await gateway.call('GET', '/metrics', { key: null }), 401, 'unauthorized');
    expectProblem(await gateway.call('GET', '/metrics'), 401, 'unauthorized');
  });
});

describe('/metrics: 405', () => {
  it('for methods other than GET and HEAD', async () => {
    const reply = await gateway.call('POST', '/metrics', { key: null, headers: asAdmin });
    expectProblem(reply, 405, 'method_not_allowed');
    expect(reply.headers.get('Allow')).toBe('GET, HEAD');
  });
});

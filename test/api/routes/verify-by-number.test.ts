import { describe, expect, it } from 'vitest';
import { bankKey, expectProblem, startGateway } from '../gateway.js';

const gateway = await startGateway();
const verify = (body: object, headers: Record<string, string> = {}, key?: string) =>
  gateway.call('POST', '/v1/verify', { body, headers, ...(key !== undefined && { key }) });
const wrong = (code: string) => (code === '000000' ? '000001' : '000000');
let next = 10;
const newNumber = () => `+601234567${next++}`;

describe('verifying by number', () => {
  it('verifies the newest OTP of the number in any notation', async () => {
    const to = newNumber();
    const older = await gateway.sent({ to });
    const newer = await gateway.sent({ to });
    if (older.code !== newer.code)
      expectProblem(await verify({ to, code: older.code }), 422, 'incorrect_code');
    const reply = await verify({ to: to.replace('+60', '0'), code: newer.code });
    expect(reply.status).toBe(200);
    expect(reply.json).toMatchObject({ id: newer.id, status: 'verified' });
    expectProblem(await verify({ to, code: newer.code }), 409, 'already_verified');
  });

  it('keeps purposes apart', async () => {
    const to = newNumber();
    const login = await gateway.sent({ to, purpose: 'login' });
    const payment = await gateway.sent({ to, purpose: 'payment' });
    const plain = await gateway.sent({ to });
    for (const [purpose, { id, code }] of [
      ['login', login],
      ['payment', payment],
      [undefined, plain],
    ] as const) {
      const reply = await verify({ to, code, ...(purpose && { purpose }) });
      expect(reply.json).toMatchObject({ id, status: 'verified' });
    }
    const found = await gateway.call('GET', `/v1/otps/${login.id}`);
    expect(found.json).toMatchObject({ purpose: 'login' });
  });

  it('repeats the answer to the same key and code', async () => {
    const to = newNumber();
    const { code } = await gateway.sent({ to });
    const headers = { 'Idempotency-Key': 'by-number' };
    expect((await verify({ to, code }, headers)).status).toBe(200);
    const again = await verify({ to, code }, headers);
    expect(again.status).toBe(200);
    expect(again.headers.get('Idempotent-Replayed')).toBe('true');
  });
});

describe('verifying by number: 404', () => {
  it('otp_not_found: no OTP, another app’s, or another purpose’s', async () => {
    const to = newNumber();
    const { code } = await gateway.sent({ to, purpose: 'login' });
    expectProblem(await verify({ to: newNumber(), code }), 404, 'otp_not_found');
    expectProblem(await verify({ to, code }), 404, 'otp_not_found');
    expectProblem(await verify({ to, code, purpose: 'login' }, {}, bankKey), 404, 'otp_not_found');
  });
});

describe('verifying by number: 422', () => {
  it('counts an attempt, and tells how many remain', async () => {
    const to = newNumber();
    const { id, code } = await gateway.sent({ to, maxAttempts: 2 });
    const reply = await verify({ to, code: wrong(code) });
    expectProblem(reply, 422, 'incorrect_code');
    expect(reply.json).toMatchObject({ attemptsRemaining: 1 });
    expectProblem(await verify({ to, code: wrong(code) }), 422, 'incorrect_code');
    expectProblem(await verify({ to, code }), 410, 'attempts_exhausted');
    expect((await gateway.call('GET', `/v1/otps/${id}`)).json).toMatchObject({ status: 'locked' });
  });

  it('invalid_phone_number', async () => {
    expectProblem(await verify({ to: '12', code: '123456' }), 422, 'invalid_phone_number');
  });
});

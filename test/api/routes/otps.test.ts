import { describe, expect, it } from 'vitest';
import { admitted, claimed, rejected, sent } from '../../support/otps.js';
import { bankKey, expectProblem, startGateway } from '../gateway.js';

const gateway = await startGateway();
const { store, redis } = gateway;
const unknownId = 'otp_mmAAAAAAAAAAAAAAAAAAAAAA';

const get = (id: string, key?: string) =>
  gateway.call('GET', `/v1/otps/${id}`, { ...(key !== undefined && { key }) });
const cancel = (id: string, key?: string) =>
  gateway.call('DELETE', `/v1/otps/${id}`, { ...(key !== undefined && { key }) });
const jobExists = async (id: string) => (await redis.exists(`{isms}:otp-send:${id}`)) === 1;

describe('GET /v1/otps/{id}: 200', () => {
  it('shows a sent OTP with its ids and times', async () => {
    const reply = await get(await sent(store));
    expect(reply.status).toBe(200);
    expect(reply.json).toMatchObject({ status: 'sent', uuid: 'uuid-1', smsId: '1', failure: null });
    const { sentAt, expiresAt } = reply.json as { sentAt: string; expiresAt: string };
    expect(Date.parse(expiresAt)).toBeGreaterThan(Date.parse(sentAt));
  });

  it('shows why an OTP failed, as code and sentence', async () => {
    const id = await admitted(store);
    await store.sendAttempts.settle(await claimed(store, id), rejected);
    expect((await get(id)).json).toMatchObject({
      status: 'failed',
      failure: { code: 'invalid_number', message: expect.stringContaining('phone number') },
    });
  });

  it('answers HEAD like GET, without the body', async () => {
    const reply = await gateway.call('HEAD', `/v1/otps/${await sent(store)}`);
    expect(reply).toMatchObject({ status: 200, text: '' });
  });
});

describe('GET /v1/otps/{id}: 404', () => {
  it("is the same byte for byte for another app's OTP, an unknown one and no id at all", async () => {
    const id = await sent(store);
    const replies = await Promise.all([get(id, bankKey), get(unknownId, bankKey), get('nonsense', bankKey)]);
    for (const reply of replies) expectProblem(reply, 404, 'otp_not_found');
    expect(new Set(replies.map(({ text }) => text)).size).toBe(1);
    const plain = replies.map(({ headers }) =>
      [...headers].filter(([name]) => !['x-request-id', 'date'].includes(name)).join('\n'),
    );
    expect(new Set(plain).size).toBe(1);
  });
});

describe('DELETE /v1/otps/{id}: 204', () => {
  it('removes a queued OTP from the queue; a repetition changes nothing', async () => {
    const { json } = await gateway.call('POST', '/v1/otps', { body: { to: '0123456789' } });
    const { id } = json as { id: string };
    expect(await jobExists(id)).toBe(true);
    expect(await cancel(id)).toMatchObject({ status: 204, text: '' });
    expect(await jobExists(id)).toBe(false);
    expect((await get(id)).json).toMatchObject({ status: 'cancelled' });
    expect((await cancel(id)).status).toBe(204);
  });

  it('makes the code of a sent OTP invalid', async () => {
    const { id, code } = await gateway.sent();
    await cancel(id);
    expectProblem(
      await gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code } }),
      410,
      'otp_cancelled',
    );
  });

  it('does not change an OTP that has ended', async () => {
    const id = await admitted(store);
    await store.sendAttempts.settle(await claimed(store, id), rejected);
    expect((await cancel(id)).status).toBe(204);
    expect((await get(id)).json).toMatchObject({ status: 'failed' });
  });
});

describe('DELETE /v1/otps/{id}: 404 and 409', () => {
  it("404 for another app's OTP", async () => {
    const id = await admitted(store);
    expectProblem(await cancel(id, bankKey), 404, 'otp_not_found');
    expect((await get(id)).json).toMatchObject({ status: 'queued' });
  });

  it('409 for a verified OTP', async () => {
    const { id, code } = await gateway.sent();
    await gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
    expectProblem(await cancel(id), 409, 'already_verified');
  });
});

import { describe, expect, it } from 'vitest';
import { keys } from '../../../src/store/keys.js';
import { number } from '../../support/otps.js';
import { admin, expectProblem, startGateway } from '../gateway.js';

const gateway = await startGateway({ dependencies: { admin: { ...admin, actions: true } } });
const asAdmin = { Authorization: `Basic ${btoa(`${admin.username}:${admin.password}`)}` };
const to = '+60123456789';
const send = (body: object, headers: Record<string, string> = {}) =>
  gateway.call('POST', '/v1/otps', { body, headers });
const entry = { shown: '', app: null, until: null };

describe('a denied number', () => {
  it('is refused with 422 recipient_denied, alone, resent and among the lines of an upload', async () => {
    const first = await send({ to }, { 'Idempotency-Key': 'before-the-deny' });
    const { id } = first.json as { id: string };
    await gateway.store.numberLists.set({ ...entry, list: 'deny', digits: '60123' });
    const refused = await send({ to });
    expectProblem(refused, 422, 'recipient_denied');
    expect(refused.text).not.toContain('23456789');
    expectProblem(await gateway.call('POST', `/v1/otps/${id}/resend`), 422, 'recipient_denied');
    const body = { otps: [{ to }, { to: '+60133456789' }] };
    const bulk = (await gateway.call('POST', '/v1/otps/bulk', { body })).json;
    expect(bulk).toMatchObject({ accepted: 1, rejected: 1, results: [{ code: 'recipient_denied' }, {}] });
    // What was accepted before is answered, not sent again.
    const again = await send({ to }, { 'Idempotency-Key': 'before-the-deny' });
    expect(again.json).toMatchObject({ id });
    const { text } = await gateway.call('GET', '/metrics', { key: null, headers: asAdmin });
    expect(text).toMatch(/\{[^}]*code="recipient_denied"[^}]*\} [1-9]/);
  });

  it('is shown on the overview page masked, and entries that cannot be decrypted are a critical alarm', async () => {
    await gateway.redis.del(keys.numberLists);
    await gateway.store.numberLists.set({
      ...{ list: 'deny', digits: '60123', shown: '+60123', app: 'shop', until: null },
    });
    await gateway.redis.hset(keys.numberLists, 'field', 'AAAA');
    expectProblem(await send({ to }), 422, 'recipient_denied');
    const options = { key: null, headers: asAdmin };
    const { json } = await gateway.call('GET', '/admin/overview.json', options);
    expect(json).toMatchObject({
      numbers: { count: 1, shown: [{ list: 'deny', shown: '+60123', app: 'shop', until: null }] },
      alarms: expect.arrayContaining([
        {
          level: 'critical',
          text: expect.stringContaining(
            '1 entry of the allow and deny lists cannot be decrypted or applied.',
          ),
        },
      ]),
    });
    await gateway.redis.del(keys.numberLists);
  });

  it('can be sent to again once it is removed, and its codes can be verified meanwhile', async () => {
    const other = '+60143456789';
    const { id, code } = await gateway.sent({ to: other });
    const { e164 } = number(other);
    await gateway.store.numberLists.set({ ...entry, list: 'deny', digits: e164.slice(1) });
    expectProblem(await send({ to: other }), 422, 'recipient_denied');
    expect((await gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code } })).status).toBe(200);
    await gateway.store.numberLists.remove({ app: null, digits: e164.slice(1) });
    expect((await send({ to: other })).status).toBe(202);
  });
});

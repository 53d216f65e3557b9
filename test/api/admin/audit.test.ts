import { expect, it } from 'vitest';
import { createAudit } from '../../../src/store/audit.js';
import { admin, startGateway } from '../gateway.js';

const base = await startGateway();
const audit = createAudit(base.redis, 7);
const gateway = await startGateway({
  dependencies: { store: { ...base.store, audit }, admin: { ...admin, actions: true } },
});
const basic = { Authorization: `Basic ${btoa(`${admin.username}:${admin.password}`)}` };
const trail = async () => {
  const entries = [];
  for await (const entry of audit.read(Date.now() - 60_000, Date.now() + 60_000)) entries.push(entry);
  return entries.map(({ at: _at, requestId: _id, ...entry }) => entry);
};

it('writes every change by an app or the admin to the audit log, without numbers and codes', async () => {
  const { id, code } = await gateway.sent({ to: '0123456789', reference: 'order-8731' });
  const wrong = code === '111111' ? '222222' : '111111';
  await gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code: wrong } });
  await gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
  await gateway.call('DELETE', `/v1/otps/${id}`);
  await gateway.call('POST', '/admin/otps/cancel', { key: null, headers: basic, body: { id } });
  const bulk = await gateway.call('POST', '/v1/otps/bulk', { body: { otps: [{ to: '0123456788' }] } });
  const { batchId } = bulk.json as { batchId: string };
  for (const path of ['change', 'cancel']) {
    const body = { id: batchId, ...(path === 'change' && { paused: true }) };
    await gateway.call('POST', `/admin/batches/${path}`, { key: null, headers: basic, body });
  }
  await gateway.call('DELETE', `/v1/batches/${batchId}`);
  await gateway.call('POST', '/admin/apps/shop/pause', { key: null, headers: basic, body: {} });
  await gateway.call('PUT', '/admin/queues/api/queues/otp-send/pause', { key: null, headers: basic });
  await gateway.call('GET', `/v1/otps/${id}`);
  await gateway.call('POST', '/v1/+60123456789', { body: {} });
  await gateway.call('POST', '/v1/otps', {
    key: 'an-unknown-key-of-24-characters',
    body: { to: '0123456789' },
  });
  await expect.poll(async () => (await trail()).length).toBe(12);
  const actor = 'app:shop';
  expect(await trail()).toEqual([
    { actor, action: 'createOtp', subject: id, result: '202' },
    { actor, action: 'verifyOtp', subject: id, result: '422', code: 'incorrect_code' },
    { actor, action: 'verifyOtp', subject: id, result: '200' },
    { actor, action: 'cancelOtp', subject: id, result: '409', code: 'already_verified' },
    {
      actor: `admin:${admin.username}`,
      action: 'cancelOtp',
      subject: id,
      result: '409',
      code: 'already_verified',
    },
    { actor, action: 'createOtps', subject: batchId, result: '202' },
    { actor: `admin:${admin.username}`, action: 'changeBatch', subject: batchId, result: '204' },
    { actor: `admin:${admin.username}`, action: 'cancelBatch', subject: batchId, result: '204' },
    { actor, action: 'cancelBatch', subject: batchId, result: '204' },
    { actor: `admin:${admin.username}`, action: 'POST /admin/apps/shop/pause', result: '204' },
    {
      actor: `admin:${admin.username}`,
      action: 'PUT /admin/queues/api/queues/otp-send/pause',
      result: '200',
    },
    { actor, action: 'POST none', result: '404', code: 'not_found' },
  ]);
  const stored = JSON.stringify(
    await base.redis.xrange((await base.redis.keys('*audit*'))[0] ?? '', '-', '+'),
  );
  expect(stored).not.toMatch(new RegExp(`123456789|123456788|order-8731|"${code}"`));
});

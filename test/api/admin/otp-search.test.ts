import { beforeEach, describe, expect, it } from 'vitest';
import { plainApp } from '../../../src/otp/app.js';
import {
  accepted,
  accountTrouble,
  admitted,
  claimed,
  number,
  rejected,
  sent,
  unsent,
} from '../../support/otps.js';
import { admin, expectProblem, startGateway } from '../gateway.js';

const gateway = await startGateway();
const { store } = gateway;
const ofOneApp = await startGateway({ dependencies: { apps: { all: () => [plainApp('shop')] } } });
const basic = { Authorization: `Basic ${btoa(`${admin.username}:${admin.password}`)}` };
beforeEach(() => gateway.redis.flushdb());

interface Found {
  otps: { id: string; app: string }[];
  next: string | null;
}
const post = (body: unknown, to = gateway) =>
  to.call('POST', '/admin/otps', { key: null, headers: basic, body });
const idsOf = async (body: object, to?: typeof gateway) => {
  const reply = await post(body, to);
  expect(reply.status).toBe(200);
  return (reply.json as Found).otps.map(({ id }) => id);
};
const get = (path: string, headers: Record<string, string> = basic) =>
  gateway.call('GET', `/admin${path}`, { key: null, headers });
const verify = async (id: string, outcome: 'incorrect' | 'correct') => {
  const verification = { app: 'shop', id, token: `${outcome}-${id}`, replay: null };
  await store.verificationAttempts.admit(verification);
  await store.verificationAttempts.settle(verification, outcome);
};

describe("the operator's search", () => {
  it('finds the OTPs of a reference, of all apps or one, without showing it', async () => {
    const shop = await admitted(store, { reference: 'order-4711' });
    const bank = await admitted(store, { reference: 'order-4711', app: 'bank' });
    expect((await idsOf({ query: 'order-4711' })).toSorted()).toEqual([shop, bank].toSorted());
    expect(await idsOf({ query: 'order-4711', app: 'bank' })).toEqual([bank]);
    expect((await post({ query: 'order-4711' })).text).not.toContain('order-4711');
  });

  it('narrows the OTPs of a number by status and time', async () => {
    const to = number('0123456777');
    const waiting = await admitted(store, { to });
    const done = await sent(store, { to });
    expect((await idsOf({ query: '0123456777' })).toSorted()).toEqual([waiting, done].toSorted());
    expect(await idsOf({ query: '0123456777', status: 'sent' })).toEqual([done]);
    const future = new Date(Date.now() + 60_000).toISOString();
    expect(await idsOf({ query: '0123456777', since: future })).toEqual([]);
    expect(await idsOf({ query: '0123456777', until: future })).toHaveLength(2);
    const past = new Date(Date.now() - 60_000).toISOString();
    expect(await idsOf({ query: '0123456777', until: past })).toEqual([]);
    expect(await idsOf({ query: '0123456777', app: 'bank' })).toEqual([]);
  });

  it('narrows an id, too', async () => {
    const id = await admitted(store);
    expect(await idsOf({ query: id })).toEqual([id]);
    expect(await idsOf({ query: id, app: 'shop', status: 'queued' })).toEqual([id]);
    expect(await idsOf({ query: id, app: 'bank' })).toEqual([]);
    expect(await idsOf({ query: id, status: 'sent' })).toEqual([]);
  });

  it('lists the OTPs of an app, newest first, page by page', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 60; i++) ids.unshift(await admitted(store, { to: number(`01234${60_000 + i}`) }));
    await admitted(store, { app: 'bank' });
    const first = (await post({ app: 'shop' })).json as Found;
    expect(first.otps.map(({ id }) => id)).toEqual(ids.slice(0, 50));
    expect(await idsOf({ app: 'shop', cursor: first.next })).toEqual(ids.slice(50));
    expect(await idsOf({ app: 'shop', status: 'sent' })).toEqual([]);
  });

  it('needs an app to list OTPs, unless there is only one', async () => {
    const reply = await post({ status: 'queued' });
    expectProblem(reply, 400, 'invalid_request');
    expect(reply.json).toMatchObject({ errors: [{ path: 'app' }] });
    const id = await admitted(store);
    expect(await idsOf({ status: 'queued' }, ofOneApp)).toEqual([id]);
  });

  it.each([{ status: 'lost' }, { since: 'today' }, { app: 'shop', cursor: 'nonsense' }, { app: 1 }])(
    'refuses %j',
    async (body) => expectProblem(await post(body), 400, 'invalid_request'),
  );
});

describe('the page of an OTP', () => {
  it('tells its whole history, without a code, its reference or the whole number', async () => {
    const id = await admitted(store, { to: number('0123456799'), reference: 'order-4712', purpose: 'login' });
    await store.sendAttempts.settle(await claimed(store, id), unsent);
    await store.sendAttempts.settle(await claimed(store, id), unsent);
    await store.sendAttempts.settle(await claimed(store, id), accepted());
    await verify(id, 'incorrect');
    await verify(id, 'correct');
    const { status, headers, text } = await get(`/otps/${id}`);
    expect(status).toBe(200);
    expect(headers.get('Content-Type')).toBe('text/html; charset=utf-8');
    expect(headers.get('Cache-Control')).toBe('no-store');
    expect(headers.get('Content-Security-Policy')).toContain("default-src 'self'");
    const steps = [...text.matchAll(/data-label="Step"><div>([^<]*)</g)].map(([, step]) => step);
    expect(steps).toEqual(['Accepted', 'Send attempt, 2 times', 'Sent', 'Verification', 'Verification']);
    for (const shown of ['iSMS could not be reached', 'was wrong.', 'verified', 'login', 'uuid-1']) {
      expect(text).toContain(shown);
    }
    expect(text).toContain('+60******799');
    expect(text).not.toMatch(/23456799|order-4712|Your code is/);
    expect(text).not.toMatch(/<script|style=/);
  });

  it('leads from a line of a batch to the batch', async () => {
    const body = { otps: [{ to: '0123456788' }] };
    const { json } = await gateway.call('POST', '/v1/otps/bulk', { body });
    const { batchId } = json as { batchId: string };
    const [id] = await idsOf({ app: 'shop' });
    const { text } = await get(`/otps/${id}`);
    expect(text).toContain(`<a href="/admin#${batchId}">`);
  });

  it('says why an OTP failed', async () => {
    const id = await admitted(store);
    await store.sendAttempts.settle(await claimed(store, id), rejected);
    const { text } = await get(`/otps/${id}`);
    expect(text).toMatch(/Ended: failed.*iSMS refused the phone number\./);
    const denied = await admitted(store);
    await store.sendAttempts.settle(await claimed(store, denied), accountTrouble);
    const failure = { kind: 'rejected', failure: 'recipient_denied' } as const;
    await store.sendAttempts.settle(await claimed(store, denied), failure);
    const page = (await get(`/otps/${denied}`)).text;
    expect(page).toMatch(/Send attempt.*Not sent: the iSMS account is out of credits\./);
    expect(page).toMatch(/Ended: failed.*deny list/);
  });

  it('needs the login, an id that exists, and GET', async () => {
    const id = await admitted(store);
    expectProblem(await get(`/otps/${id}`, {}), 401, 'unauthorized');
    expectProblem(await get('/otps/otp_mmAAAAAAAAAAAAAAAAAAAAAA'), 404, 'otp_not_found');
    expectProblem(await get('/otps/%3Cscript%3E'), 404, 'otp_not_found');
    const put = await gateway.call('PUT', `/admin/otps/${id}`, { key: null, headers: basic });
    expectProblem(put, 405, 'method_not_allowed');
    expectProblem(await get('/otps/cancel'), 405, 'method_not_allowed');
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { keys } from '../../../src/store/keys.js';
import { accepted, claimed, operatorPauseKey } from '../../support/otps.js';
import { bankKey, expectProblem, startGateway } from '../gateway.js';

const gateway = await startGateway();
const { redis, store } = gateway;

const create = (body: unknown, headers: Record<string, string> = {}, key?: string) =>
  gateway.call('POST', '/v1/otps', { body, headers, ...(key !== undefined && { key }) });
const to = '+60123456789';
const jobOf = async (id: string) => await redis.hgetall(`{isms}:otp-send:${id}`);
const sendNow = async (id: string) => await store.sendAttempts.settle(await claimed(store, id), accepted());
const created = async (headers: Record<string, string> = {}) =>
  ((await create({ to }, headers)).json as { id: string }).id;

describe('sending an OTP: 202', () => {
  it('answers with the documented OTP', async () => {
    const reply = await create({ to, message: 'Code %OTP%', reference: 'mine' });
    expect(reply.status).toBe(202);
    expect(reply.json).toEqual({
      id: expect.stringMatching(/^otp_/),
      status: 'queued',
      to,
      reference: 'mine',
      purpose: null,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      sendDeadline: expect.any(String),
      sentAt: null,
      expiresAt: null,
      attemptsRemaining: 5,
      uuid: null,
      smsId: null,
      credits: 1,
      failure: null,
    });
    expect(reply.headers.get('Location')).toBe(`/v1/otps/${(reply.json as { id: string }).id}`);
    expect(reply.headers.get('Cache-Control')).toBe('no-store');
    expect(reply.headers.has('Idempotent-Replayed')).toBe(false);
  });

  it('puts one job into the queue, with a masked number and nothing of the message', async () => {
    const id = await created();
    const { name, data } = await jobOf(id);
    expect(name).toBe('send-otp');
    expect(JSON.parse(data ?? '')).toEqual({ id, app: 'shop', to: '+60******789' });
  });

  it('reads national numbers in the default country', async () => {
    expect((await create({ to: '012-345 6789' })).json).toMatchObject({ to });
  });

  it('counts the credits of a message in ASCII and in Unicode', async () => {
    expect((await create({ to, message: `%OTP%${'a'.repeat(147)}` })).json).toMatchObject({});
    expect((await create({ to, message: `%OTP%${'a'.repeat(148)}` })).json).toMatchObject({ credits: 2 });
    expect((await create({ to, message: `%OTP%${'码'.repeat(58)}` })).json).toMatchObject({ credits: 2 });
  });

  it('accepts every option at its limits', async () => {
    const options = {
      ttlSeconds: 600,
      sendDeadlineSeconds: 86_400,
      maxAttempts: 1,
      senderId: 'Shop',
      clientIp: '::1',
    };
    const reply = await create({ to, ...options });
    expect(reply.status).toBe(202);
    const { createdAt, sendDeadline } = reply.json as { createdAt: string; sendDeadline: string };
    expect(Date.parse(sendDeadline) - Date.parse(createdAt)).toBe(86_400_000);
    expect(reply.json).toMatchObject({ attemptsRemaining: 1 });
  });

  it('answers a repeated key and body with the same OTP, and sends nothing', async () => {
    const headers = { 'Idempotency-Key': 'same' };
    const first = await create({ to, message: 'A %OTP%' }, headers);
    const second = await create({ message: 'A %OTP%', to }, headers);
    expect(second.status).toBe(202);
    expect(second.json).toEqual(first.json);
    expect(second.headers.get('Idempotent-Replayed')).toBe('true');
    expect(await redis.llen('{isms}:otp-send:wait')).toBeGreaterThan(0);
  });

  it('treats a key in quotes and without as the same key', async () => {
    const id = await created({ 'Idempotency-Key': 'q1' });
    expect(await created({ 'Idempotency-Key': '"q1"' })).toBe(id);
    expect(await created({ 'Idempotency-Key': "'q1'" })).not.toBe(id);
    const escaped = await created({ 'Idempotency-Key': String.raw`a"b\c` });
    expect(await created({ 'Idempotency-Key': String.raw`"a\"b\\c"` })).toBe(escaped);
  });

  it('answers a replay with the OTP’s current status', async () => {
    const headers = { 'Idempotency-Key': 'later' };
    await sendNow(await created(headers));
    expect((await create({ to }, headers)).json).toMatchObject({
      status: 'sent',
      uuid: 'uuid-1',
      smsId: '1',
    });
  });

  it('adds the job again when a replay finds it missing', async () => {
    const headers = { 'Idempotency-Key': 'lost-job' };
    const id = await created(headers);
    await redis.del(`{isms}:otp-send:${id}`);
    await create({ to }, headers);
    expect(await jobOf(id)).toMatchObject({ name: 'send-otp' });
  });

  it('creates one OTP for simultaneous requests with one key', async () => {
    const headers = { 'Idempotency-Key': 'at-once' };
    const ids = await Promise.all(Array.from({ length: 20 }, () => created(headers)));
    expect(new Set(ids).size).toBe(1);
  });

  it('keeps the keys of apps apart', async () => {
    const headers = { 'Idempotency-Key': 'shared' };
    const shop = await create({ to }, headers);
    const bank = await create({ to }, headers, bankKey);
    expect(bank.json).not.toMatchObject({ id: (shop.json as { id: string }).id });
  });

  it('answers when the preferred wait ends before the send', async () => {
    const reply = await create({ to }, { Prefer: 'wait=0' });
    expect(reply.status).toBe(202);
    expect(reply.headers.get('Preference-Applied')).toBe('wait=0');
    const before = performance.now();
    expect((await create({ to }, { Prefer: 'wait=1' })).status).toBe(202);
    expect(performance.now() - before).toBeGreaterThan(950);
  });

  it('ignores an unknown preference', async () => {
    const reply = await create({ to }, { Prefer: 'wait=soon, respond-async' });
    expect(reply.status).toBe(202);
    expect(reply.headers.has('Preference-Applied')).toBe(false);
  });
});

describe('sending an OTP: 200', () => {
  it('answers as soon as the OTP has left queued and sending', async () => {
    const headers = { 'Idempotency-Key': 'waiting', Prefer: 'wait=20' };
    const jobs = async () => await redis.llen('{isms}:otp-send:wait');
    const jobsBefore = await jobs();
    const waiting = create({ to }, headers);
    await expect.poll(jobs, { timeout: 10_000 }).toBeGreaterThan(jobsBefore);
    await sendNow(await created({ 'Idempotency-Key': 'waiting' }));
    const reply = await waiting;
    expect(reply.status).toBe(200);
    expect(reply.json).toMatchObject({ status: 'sent' });
    expect(reply.headers.get('Preference-Applied')).toBe('wait=20');
  });
});

describe('sending an OTP: 400', () => {
  it.each([
    ['an unknown member', { to, colour: 'red' }, 'colour'],
    ['no number', {}, 'to'],
    ['a number that is a number', { to: 60123456789 }, 'to'],
    ['a message without %OTP%', { to, message: 'hello' }, 'message'],
    ['a message with %OTP% twice', { to, message: '%OTP% %OTP%' }, 'message'],
    ['a message of six credits', { to, message: `%OTP%${'a'.repeat(800)}` }, 'message'],
    ['a sender ID with a blank', { to, senderId: 'My App' }, 'senderId'],
    ['a sender ID of 12 characters', { to, senderId: 'abcdefghijkl' }, 'senderId'],
    ['a code that lives too short', { to, ttlSeconds: 29 }, 'ttlSeconds'],
    ['a code that lives too long', { to, ttlSeconds: 601 }, 'ttlSeconds'],
    ['half a second', { to, ttlSeconds: 60.5 }, 'ttlSeconds'],
    ['no time to send', { to, sendDeadlineSeconds: 0 }, 'sendDeadlineSeconds'],
    ['more than a day to send', { to, sendDeadlineSeconds: 86_401 }, 'sendDeadlineSeconds'],
    ['more attempts than the default', { to, maxAttempts: 6 }, 'maxAttempts'],
    ['no attempts', { to, maxAttempts: 0 }, 'maxAttempts'],
    ['an empty reference', { to, reference: '' }, 'reference'],
    ['a reference of 201 characters', { to, reference: 'x'.repeat(201) }, 'reference'],
    ['a reference with a control character', { to, reference: 'a\nb' }, 'reference'],
    ['a client IP that is none', { to, clientIp: '300.1.1.1' }, 'clientIp'],
    ['null for an absent member', { to, reference: null }, 'reference'],
  ])('refuses %s and says where it is', async (_what, body, path) => {
    const reply = await create(body);
    expectProblem(reply, 400, 'invalid_request');
    expect(reply.json).toMatchObject({ errors: [{ path, message: expect.any(String) }] });
  });

  it('names a missing or mistyped member in plain words, also in the detail', async () => {
    const missing = await create({});
    expect(missing.json).toMatchObject({
      detail: '`to` is missing.',
      errors: [{ path: 'to', message: 'is missing' }],
    });
    const mistyped = await create({ to, ttlSeconds: '60', maxAttempts: 0 });
    expect(mistyped.json).toMatchObject({
      detail: '`ttlSeconds` must be a number; `maxAttempts` must be at least 1.',
    });
    expect((await create([])).json).toMatchObject({ detail: 'The request must be a JSON object.' });
  });

  it('lists all errors at once', async () => {
    const reply = await create({ ttlSeconds: 1, colour: 'red' });
    const { errors } = reply.json as { errors: { path: string }[] };
    expect(errors.map(({ path }) => path).sort()).toEqual(['colour', 'to', 'ttlSeconds']);
  });

  it.each([' ', 'with blank', 'x'.repeat(256), 'ünicode', '""', '"with blank"', `"${'x'.repeat(256)}"`])(
    'refuses the idempotency key "%s"',
    async (key) => {
      const reply = await create({ to }, { 'Idempotency-Key': key });
      if (key.trim() === '') return expect(reply.status).toBe(400);
      expectProblem(reply, 400, 'invalid_request');
      expect(reply.json).toMatchObject({ errors: [{ path: 'Idempotency-Key' }] });
    },
  );
});

describe('sending an OTP: 422', () => {
  it.each(['', 'abc', '+6012345', '03-1234 5678', '+1', '0'.repeat(300)])(
    'rejects "%s", which is not a mobile number',
    async (number) => expectProblem(await create({ to: number }), 422, 'invalid_phone_number'),
  );

  it('refuses a number of a country that is not allowed', async () => {
    expectProblem(await create({ to: '+6591234567' }), 422, 'country_not_allowed');
  });

  it('refuses another body under a used key', async () => {
    await create({ to }, { 'Idempotency-Key': 'taken' });
    const reply = await create({ to, reference: 'other' }, { 'Idempotency-Key': 'taken' });
    expectProblem(reply, 422, 'idempotency_key_reused');
  });
});

describe('sending an OTP: 503', () => {
  afterEach(async () => {
    await redis.hdel(operatorPauseKey, 'paused');
    await redis.del(keys.pause, keys.appPauses);
  });

  it('refuses while the operator has paused the app', async () => {
    await store.appPauses.pause('shop');
    const reply = await create({ to });
    expectProblem(reply, 503, 'app_paused');
    expect(reply.headers.get('Retry-After')).toBe('60');
  });

  it('refuses while the iSMS account is in trouble, and names the trouble', async () => {
    await store.sendingPause.report({ trouble: 'insufficient_credits', claimedAt: Date.now() });
    const reply = await create({ to });
    expectProblem(reply, 503, 'sending_paused');
    expect(reply.json).toMatchObject({ detail: expect.stringContaining('out of credits') });
    expect(reply.headers.get('Retry-After')).toBe('10');
  });

  it('refuses while the operator has paused sending', async () => {
    await redis.hset(operatorPauseKey, 'paused', '1');
    const reply = await create({ to });
    expectProblem(reply, 503, 'sending_paused');
    expect(reply.json).toMatchObject({ detail: expect.stringContaining('operator') });
  });

  it('still answers a replay while sending is paused', async () => {
    const id = await created({ 'Idempotency-Key': 'before-the-pause' });
    await redis.hset(operatorPauseKey, 'paused', '1');
    expect(await created({ 'Idempotency-Key': 'before-the-pause' })).toBe(id);
  });
});

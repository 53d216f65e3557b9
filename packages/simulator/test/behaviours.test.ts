import { readFile } from 'node:fs/promises';
import { parsePhoneNumberFromString } from 'libphonenumber-js/mobile';
import { describe, expect, it } from 'vitest';
import { type BehaviourName, behaviours, errorKinds, failureNumbers } from '../src/behaviours.js';
import { ordinary, startClient } from './client.js';

const national = (name: string) => failureNumbers[name as BehaviourName].slice('+60'.length);
const quick = { pace: { slowMs: 60, trickleMs: 100 } };

describe('the table of numbers', () => {
  it.each(behaviours)('$number is a valid Malaysian mobile number', ({ number }) => {
    const parsed = parsePhoneNumberFromString(number);
    expect({ valid: parsed?.isValid(), country: parsed?.country }).toEqual({ valid: true, country: 'MY' });
  });

  it('has no number and no name twice', () => {
    expect(new Set(behaviours.map(({ number }) => number)).size).toBe(behaviours.length);
    expect(new Set(behaviours.map(({ name }) => name)).size).toBe(behaviours.length);
  });

  it('is the one in the documentation, row for row', async () => {
    const page = await readFile(new URL('../../../docs/simulator.md', import.meta.url), 'utf8');
    const rows = page.split('\n').filter((line) => line.startsWith('| `+60'));
    expect(rows.map((row) => row.split(/ *\| */).slice(1, -1))).toEqual(
      behaviours.map(({ number, name, sms, does }) => [
        `\`${number}\``,
        `\`${name}\``,
        sms ? 'yes' : 'no',
        does,
      ]),
    );
  });
});

describe('every number', () => {
  it.each(behaviours)(
    '$number ($name) gets an SMS, or none, as the table says',
    async ({ name, number, sms }) => {
      const patienceMs = name.startsWith('hang') ? 1_000 : 20_000;
      const { call, simulator } = await startClient({ pace: { slowMs: 1, trickleMs: 1 }, patienceMs });
      await call({ mobile: number.slice(3) }).catch(() => {});
      expect(simulator.state.number(number)).toEqual({ calls: 1, sms: sms ? 1 : 0 });
      expect(simulator.state.settings.credits).toBe(sms ? 9_999 : 10_000);
    },
  );
});

describe('a refusing number', () => {
  it.each([
    ['insufficient_credits', 'Insufficient Credits'],
    ['invalid_number', 'Invalid Destination Number'],
    ['authentication_failed', 'Authentication Failed'],
    ['account_suspended', 'Account Suspended or Expired'],
    ['ip_not_allowed', 'IP Not Allowed'],
    ['failed', 'Unknown Error'],
  ])('%s fails with "%s", and only that number', async (name, message) => {
    const { ask } = await startClient();
    expect(await ask({ mobile: national(name) })).toMatchObject({ status: 'Failed', message });
    expect(await ask({ mobile: ordinary })).toMatchObject({ status: 'Success' });
  });
});

describe('a number that answers oddly', () => {
  it.each(['hang_before_sms', 'hang_after_sms'])('%s never answers', async (name) => {
    const { call } = await startClient({ patienceMs: 1_000 });
    await expect(call({ mobile: national(name) })).rejects.toMatchObject({ name: 'HeadersTimeoutError' });
  });

  it.each(['reset_before_sms', 'reset_after_sms', 'cut_off'])('%s loses the connection', async (name) => {
    const { call } = await startClient();
    await expect(call({ mobile: national(name) })).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it.each([
    ['too_many_requests', 429, /Too Many Requests/],
    ['redirect', 302, /Found/],
    ['html_200', 200, /^<!doctype html>/],
    ['html_502', 502, /^<!doctype html>/],
    ['empty_body', 200, /^$/],
    ['truncated_json', 200, /^\{"status":"Success"[^}]*$/],
    ['wrong_shape', 200, /^\{.*\}$/],
    ['huge_reply', 200, /^ {262144}\{"status":"Success",.*\}$/],
    ['slow', 200, /^\{"status":"Success",.*\}$/],
  ])('%s answers HTTP %i with %s', async (name, status, body) => {
    const { call } = await startClient(quick);
    const reply = await call({ mobile: national(name) });
    expect(reply.status).toBe(status);
    expect(reply.text).toMatch(body);
  });

  it('trickle sends a good reply byte by byte', async () => {
    const { call } = await startClient({ pace: { trickleMs: 2 } });
    const start = performance.now();
    const { text } = await call({ mobile: national('trickle') });
    expect(JSON.parse(text)).toMatchObject({ status: 'Success' });
    expect(performance.now() - start).toBeGreaterThan(text.length * 2 - 2);
  });

  it('redirect counts who follows it', async () => {
    const { call, fetch, simulator } = await startClient();
    const { headers } = await call({ mobile: national('redirect') });
    expect(await fetch(String(headers['location']))).toMatchObject({ status: 404 });
    expect(simulator.state.calls).toMatchObject({ send: 1, redirected: 1 });
  });
});

describe('a number that fails every other time', () => {
  it('too_many_requests_once starts with a 429 and goes on with one SMS', async () => {
    const { call, simulator } = await startClient();
    const mobile = national('too_many_requests_once');
    const statuses = [await call({ mobile }), await call({ mobile }), await call({ mobile })];
    expect(statuses.map(({ status }) => status)).toEqual([429, 200, 429]);
    expect(simulator.state.number(mobile)).toEqual({ calls: 3, sms: 1 });
  });

  it('reset_after_sms_once has sent two SMS when it first says so', async () => {
    const { ask, simulator } = await startClient();
    const mobile = national('reset_after_sms_once');
    await expect(ask({ mobile })).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(await ask({ mobile })).toMatchObject({ status: 'Success' });
    expect(simulator.state.number(mobile)).toEqual({ calls: 2, sms: 2 });
  });
});

describe('a number whose verification goes wrong', () => {
  it.each([
    ['verify_500', { status: 500 }],
    ['verify_wrong_shape', { status: 200, text: '{"status":"OK","verified":true}' }],
  ])('%s answers oddly', async (name, reply) => {
    const { ask, call } = await startClient();
    const mobile = national(name);
    const { code, uuid, sms_id } = await ask({ mobile });
    expect(await call({ method: 'verify', mobile, code, uuid, sms_id })).toMatchObject(reply);
  });

  it.each([
    ['verify_hang', { name: 'HeadersTimeoutError' }],
    ['verify_reset', { code: 'ECONNRESET' }],
  ])('%s does not answer', async (name, error) => {
    const { ask, verify } = await startClient({ patienceMs: 1_000 });
    const mobile = national(name);
    await expect(verify(await ask({ mobile }), { mobile })).rejects.toMatchObject(error);
  });
});

describe('the error rate', () => {
  it('gives that share of ordinary sends the chosen behaviour', async () => {
    const { call, simulator } = await startClient({ settings: { errorRate: 0.5, errorKind: 'html_502' } });
    const replies = await Promise.all(Array.from({ length: 200 }, () => call()));
    const failed = replies.filter(({ status }) => status === 502).length;
    expect(failed).toBeGreaterThan(50);
    expect(failed).toBeLessThan(150);
    simulator.state.change({ errorRate: 1 });
    expect(await call()).toMatchObject({ status: 502 });
    expect(await call({ mobile: national('normal') })).toMatchObject({ status: 200 });
  });

  it('can be given any behaviour that makes every send go wrong', () => {
    const odd = behaviours.filter(({ name }) => !/^normal$|_once$|^verify_/.test(name));
    expect(errorKinds).toEqual(odd.map(({ name }) => name));
  });
});

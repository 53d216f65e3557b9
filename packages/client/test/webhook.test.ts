import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { eventTypes } from '../../../src/otp/event.js';
import { createWebhookProcessor } from '../../../src/workers/webhooks.js';
import { verifyWebhook, type WebhookDelivery, WebhookError } from '../src/index.js';

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;
const secret = newSecret();
const id = 'evt_0mie5x4w0_0000_17';
const event = {
  type: 'otp.sent',
  timestamp: '2026-01-01T00:00:00.000Z',
  data: { id: 'otp_1', app: 'shop', reference: 'Bestellung-ü', status: 'sent', failure: null },
};
const payload = JSON.stringify(event);

/** A delivery as the gateway signs it. */
const delivery = ({ at = new Date(), secrets = [secret], body = payload } = {}) => ({
  payload: body,
  headers: {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': secrets.map((each) => new Webhook(each).sign(id, at, body)).join(' '),
  },
});
const code = async (verifying: Promise<unknown>) => {
  const error = await verifying.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof WebhookError ? error.code : error;
};
const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000);

describe('verifyWebhook', () => {
  it('returns an event signed by a Standard Webhooks library', async () => {
    expect(await verifyWebhook({ ...delivery(), secret })).toEqual({ id, ...event });
  });

  it('accepts headers in any form and case', async () => {
    const { headers } = delivery();
    const upper = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]),
    );
    const lists = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
    for (const form of [headers, new Headers(headers), upper, lists]) {
      expect(await verifyWebhook({ payload, headers: form, secret })).toMatchObject({ id });
    }
  });

  it('accepts deliveries while either side changes its secret', async () => {
    const old = newSecret();
    const signedByBoth = delivery({ secrets: [secret, old] });
    for (const known of [secret, old, [old, secret], [newSecret(), old]]) {
      expect(await verifyWebhook({ ...signedByBoth, secret: known })).toMatchObject({ id });
    }
    expect(await verifyWebhook({ ...delivery(), secret: [old, secret] })).toMatchObject({ id });
  });

  it('narrows the event’s type by its name', async () => {
    const told = await verifyWebhook({ ...delivery(), secret });
    if (told.type === 'otp.sent') told.data satisfies { status: 'sent'; reference: string | null };
    if (told.type === 'balance.low') told.data satisfies { credits: number; expiresOn: string | null };
    if (told.type === 'sending.paused') told.data satisfies { trouble: string };
    if (told.type === 'range.blocked') told.data satisfies { range: string; enforced: boolean };
    if (told.type === 'conversion.low') told.data satisfies { country: string; verified: number };
    // @ts-expect-error an OTP tells of no credits
    if (told.type === 'otp.failed') told.data satisfies { credits: number };
    expect(told.type).toBe('otp.sent');
  });

  it('accepts an event of a type that it does not know', async () => {
    const body = JSON.stringify({ ...event, type: 'otp.delivered' });
    expect(await verifyWebhook({ ...delivery({ body }), secret })).toMatchObject({ type: 'otp.delivered' });
  });
});

describe('verifyWebhook rejects a delivery', () => {
  const refused = (changes: Partial<WebhookDelivery>) =>
    code(verifyWebhook({ ...delivery(), secret, ...changes }));
  const withHeaders = (changes: Record<string, string>) => ({
    headers: { ...delivery().headers, ...changes },
  });

  it.each([
    ['another body', { payload: `${payload} ` }],
    ['another id', withHeaders({ 'webhook-id': 'evt_2' })],
    ['another time', withHeaders({ 'webhook-timestamp': String(Math.floor(Date.now() / 1_000) - 60) })],
    ['another secret', { secret: newSecret() }],
    ['no secret at all', { secret: [] }],
    ['a signature of another scheme', withHeaders({ 'webhook-signature': 'v1a,AAAA' })],
    [
      'half a signature',
      withHeaders({ 'webhook-signature': delivery().headers['webhook-signature'].slice(0, 20) }),
    ],
    [
      'a longer signature',
      withHeaders({ 'webhook-signature': `${delivery().headers['webhook-signature']}A` }),
    ],
  ])('with %s', async (_what, changes) => {
    expect(await refused(changes)).toBe('wrong_signature');
  });

  it('when any character of its signature differs', async () => {
    const signature = delivery().headers['webhook-signature'];
    for (let i = 0; i < signature.length; i += 1) {
      const other = signature[i] === 'x' ? 'y' : 'x';
      const changed = signature.slice(0, i) + other + signature.slice(i + 1);
      expect(await refused(withHeaders({ 'webhook-signature': changed }))).toBe('wrong_signature');
    }
  });

  it('when it is older than the tolerance, or from the future', async () => {
    for (const at of [ago(301), ago(-310)]) {
      expect(await code(verifyWebhook({ ...delivery({ at }), secret }))).toBe('outside_tolerance');
    }
    const old = delivery({ at: ago(295) });
    expect(await verifyWebhook({ ...old, secret })).toMatchObject({ id });
    expect(await code(verifyWebhook({ ...old, secret, toleranceSeconds: 60 }))).toBe('outside_tolerance');
    expect(await refused(withHeaders({ 'webhook-timestamp': 'NaN' }))).toBe('outside_tolerance');
    expect(await refused(withHeaders({ 'webhook-timestamp': '-1' }))).toBe('outside_tolerance');
  });

  it.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])('without %s', async (name) => {
    expect(await refused(withHeaders({ [name]: '' }))).toBe('missing_header');
    const doubled = { ...delivery().headers, [name.toUpperCase()]: 'x' };
    expect(await refused({ headers: doubled })).toBe('missing_header');
  });

  it('when the signed body is not an event', async () => {
    for (const body of ['nonsense', 'null', '{}', '{"type":"otp.sent","timestamp":"","data":1}']) {
      expect(await code(verifyWebhook({ ...delivery({ body }), secret }))).toBe('invalid_payload');
    }
  });

  it('when the secret is invalid', async () => {
    for (const none of ['', 'whsec_', 'whsec_%%canary%%', undefined as unknown as string]) {
      const error = await verifyWebhook({ ...delivery(), secret: none }).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'invalid_secret' });
      expect(String(error)).not.toContain('canary');
    }
  });
});

/** The value of the type, or of its kind. */
const byType = <T>(values: Record<string, T>, type: string) =>
  values[type] ?? values[type.split('.')[0] ?? ''];

it.each(eventTypes)('the delivered event %s has the members of its type', async (type) => {
  const batch = { id: 'batch_1', app: 'shop', name: null };
  const abouts = {
    batch,
    'batch.finished': { ...batch, status: 'finished', lines: 1, counts: { sent: 1 } },
    otp: { otpId: 'otp_1', app: 'shop', failure: null },
    balance: { credits: 1, expiresOn: null },
    sending: { trouble: 'insufficient_credits', text: null },
    range: { app: 'shop', range: '+6012****' },
    conversion: { app: 'shop', country: 'MY', sent: 300, verified: 2 },
    budget: { app: 'shop', period: 'day', budget: 100, used: 80, endsAt: '2025-01-01T16:00:00.000Z' },
  };
  const about = byType<object>(abouts, type);
  let body = '';
  const deliver = async (message: { payload: string }) => {
    body = message.payload;
    return { kind: 'delivered' } as const;
  };
  const process = createWebhookProcessor({
    otps: { find: async () => null },
    receivers: { of: () => ({ deliver, close: async () => {} }) },
    fraudGuardEnforces: true,
    logger: { info: () => {}, warn: () => {}, error: () => {} },
    metrics: { delivered: () => {} },
  });
  const job = { data: { id, type, at: Date.now(), about }, attemptsMade: 0 };
  await process(job as unknown as Parameters<typeof process>[0]);
  const told = await verifyWebhook({ ...delivery({ body }), secret });
  const members = {
    batch: ['app', 'id', 'name'],
    'batch.finished': ['app', 'counts', 'id', 'lines', 'name', 'status'],
    otp: ['app', 'failure', 'id', 'reference', 'status'],
    balance: ['credits', 'expiresOn'],
    sending: ['text', 'trouble'],
    range: ['app', 'enforced', 'range'],
    conversion: ['app', 'country', 'sent', 'verified'],
    budget: ['app', 'budget', 'endsAt', 'period', 'used'],
  };
  expect(Object.keys(told.data).sort()).toEqual(byType(members, type));
  expect(told.type).toBe(type);
});

import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { afterFile } from '../support/clean-up.js';
import { startFullGateway } from '../support/full-gateway.js';
import { connect } from '../support/redis.js';
import { secret, startReceiver } from '../webhooks/receiver.js';
import { runPhp } from './php/run-php.js';

const id = 'evt_0mie5x4w0_0000_17';
const event = {
  type: 'otp.sent',
  timestamp: '2026-01-01T00:00:00.000Z',
  data: { id: 'otp_1', app: 'shop', reference: 'Bestellung-ü', status: 'sent', failure: null },
};
const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;
const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000);

/** A delivery as the gateway signs it. */
const delivery = ({ at = new Date(), secrets = [secret], body = JSON.stringify(event) } = {}) => ({
  payload: body,
  headers: {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': secrets.map((each) => new Webhook(each).sign(id, at, body)).join(' '),
  } as Record<string, unknown>,
});

/** Verifies it in PHP; resolves with the event, or the error's code. */
const verify = async (
  given: { payload: string; headers: object },
  secrets: string | string[] | null = secret,
) => {
  const facts = Buffer.from(JSON.stringify({ ...given, secrets })).toString('base64');
  const { value, error } = await runPhp(
    `['payload' => $payload, 'headers' => $headers, 'secrets' => $secrets] =
       json_decode(base64_decode('${facts}'), true);
     return Webhook::verify($payload, $headers, $secrets);`,
    { url: 'http://127.0.0.1:1', key: 'no-key' },
  );
  if (!error) return value;
  expect(error.class).toBe('IsmsOtp\\WebhookError');
  const hidden = [secrets, Object.values(given.headers)].flat(2).filter((each) => String(each).length > 30);
  for (const each of hidden) expect(error.dump).not.toContain(each);
  return error.code;
};

describe('Webhook::verify of the PHP client', () => {
  it('returns an event signed by a Standard Webhooks library', async () => {
    expect(await verify(delivery())).toEqual({ id, ...event });
  });

  it('accepts headers in any case, and lists of values', async () => {
    const { payload, headers } = delivery();
    const entries = Object.entries(headers);
    const upper = Object.fromEntries(entries.map(([name, value]) => [name.toUpperCase(), value]));
    const lists = Object.fromEntries(entries.map(([name, value]) => [name, [value]]));
    for (const form of [upper, lists]) expect(await verify({ payload, headers: form })).toMatchObject({ id });
  });

  it('accepts deliveries while either side changes its secret', async () => {
    const old = newSecret();
    const signedByBoth = delivery({ secrets: [secret, old] });
    for (const known of [secret, old, [old, secret], [newSecret(), old], `${newSecret()} , ${old}\n`]) {
      expect(await verify(signedByBoth, known)).toMatchObject({ id });
    }
    expect(await verify(delivery(), [old, secret])).toMatchObject({ id });
  });

  it('rejects what was not signed, was changed, or is too old or too new', async () => {
    const { payload, headers } = delivery();
    expect(await verify({ payload: `${payload} `, headers })).toBe('wrong_signature');
    expect(await verify({ payload, headers: { ...headers, 'webhook-id': 'evt_2' } })).toBe('wrong_signature');
    expect(await verify(delivery(), newSecret())).toBe('wrong_signature');
    const v2 = { ...headers, 'webhook-signature': String(headers['webhook-signature']).replace('v1', 'v2') };
    expect(await verify({ payload, headers: v2 })).toBe('wrong_signature');
    expect(await verify(delivery({ at: ago(-400) }))).toBe('outside_tolerance');
    expect(await verify(delivery({ at: ago(400) }))).toBe('outside_tolerance');
    expect(await verify(delivery({ at: ago(200) }))).toMatchObject({ id });
    const timestamps = ['', '1e9', 'soon', `${headers['webhook-timestamp']}\n`, '9'.repeat(30)];
    for (const timestamp of timestamps) {
      const code = await verify({ payload, headers: { ...headers, 'webhook-timestamp': timestamp } });
      expect(code).toBe(timestamp === '' ? 'missing_header' : 'outside_tolerance');
    }
  });

  it('rejects headers that are missing or repeated', async () => {
    const { payload, headers } = delivery();
    for (const name of Object.keys(headers)) {
      const { [name]: value, ...others } = headers;
      expect(await verify({ payload, headers: others })).toBe('missing_header');
      expect(await verify({ payload, headers: { ...others, [name]: [value, value] } })).toBe(
        'missing_header',
      );
      const twice = { ...headers, [name.toUpperCase()]: value };
      expect(await verify({ payload, headers: twice })).toBe('missing_header');
    }
  });

  it('rejects a signed body that is no event, and a secret that is none', async () => {
    for (const body of ['', '[]', 'null', '{"type":"otp.sent"}', '{"type":1,"timestamp":"","data":{}}']) {
      expect(await verify(delivery({ body }))).toBe('invalid_payload');
    }
  });

  it('reports a secret that is none, also beside a good one and when the request is no webhook', async () => {
    const [short, long] = [23, 65].map((size) => `whsec_${randomBytes(size).toString('base64')}`);
    for (const none of ['', 'whsec_', 'whsec_***', short, long, `${secret},`].map(String)) {
      expect(await verify(delivery(), none)).toBe('invalid_secret');
      expect(await verify(delivery(), [secret, none])).toBe('invalid_secret');
    }
    for (const none of [[], null]) expect(await verify(delivery(), none)).toBe('invalid_secret');
    expect(await verify({ payload: '', headers: {} }, 'whsec_')).toBe('invalid_secret');
    for (const size of [24, 64]) {
      const good = `whsec_${randomBytes(size).toString('base64')}`;
      expect(await verify(delivery({ secrets: [good] }), good)).toMatchObject({ id });
    }
  });
});

describe('a webhook that a real gateway delivered', () => {
  it('is verified in PHP', async () => {
    await connect();
    const receiver = await startReceiver();
    const gateway = await startFullGateway({
      WEBHOOK_URL: receiver.url,
      WEBHOOK_SECRET: secret,
      WEBHOOK_PRIVATE_ADDRESSES: 'allow',
    });
    afterFile(() => Promise.all([gateway.close(), receiver.close()]));
    const send = "return $otps->send(['to' => '+60123458001', 'reference' => 'order-1']);";
    const { value } = await runPhp<{ id: string }>(send, gateway);
    await expect.poll(() => receiver.taken).toHaveLength(1);
    const [taken] = receiver.taken;
    const { headers, payload } = { headers: { ...taken?.headers }, payload: taken?.body ?? '' };
    expect(await verify({ payload, headers })).toEqual({
      id: headers['webhook-id'],
      type: 'otp.sent',
      timestamp: expect.any(String),
      data: { id: value?.id, app: 'shop', reference: 'order-1', status: 'sent', failure: null },
    });
    expect(await verify({ payload, headers }, newSecret())).toBe('wrong_signature');
  });
});

import { afterAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/config/formats.js';
import { recordedEvents, webhookReceivers } from '../../src/main/composition.js';
import { type App, plainApp } from '../../src/otp/app.js';
import { eventTypes } from '../../src/otp/event.js';
import { secret, startReceiver } from '../webhooks/receiver.js';

const [own, first, second] = await Promise.all([startReceiver(), startReceiver(), startReceiver()]);
afterAll(() => Promise.all([own, first, second].map((receiver) => receiver.close())));

const receiverOf = (url: string): NonNullable<App['webhook']> => ({
  url,
  secrets: [secret],
  allowPrivate: true,
  events: ['otp.sent'],
});
let shop: App = { ...plainApp('shop'), webhook: receiverOf(first.url) };
const apps = { of: (name: string) => (name === 'shop' ? shop : plainApp(name)) };
const webhook = {
  url: new Secret(own.url),
  secrets: new Secret([secret]),
  events: ['all'],
  privateAddresses: 'allow' as const,
};
const message = {
  id: 'evt_1',
  payload: '{"type":"otp.sent","timestamp":"2026-01-01T00:00:00.000Z","data":{}}',
};
const counts = () => [own, first, second].map(({ taken }) => taken.length);

describe('an event', () => {
  it('goes to the receiver of its app, or else to the gateway’s own, as they are now', async () => {
    const receivers = webhookReceivers({ webhook, appsFile: 'apps.json' }, apps);
    await receivers?.of('otp.sent', 'shop')?.deliver(message);
    expect(counts()).toEqual([0, 1, 0]);
    await receivers?.of('otp.sent', 'bank')?.deliver(message);
    await receivers?.of('sending.paused', null)?.deliver(message);
    expect(counts()).toEqual([2, 1, 0]);
    shop = { ...shop, webhook: receiverOf(second.url) };
    await receivers?.of('otp.sent', 'shop')?.deliver(message);
    expect(counts()).toEqual([2, 1, 1]);
    await receivers?.close();
  });

  it('without a receiver is not delivered', () => {
    const receivers = webhookReceivers({ webhook: undefined, appsFile: 'apps.json' }, apps);
    expect(receivers?.of('otp.failed', 'shop')).toBeNull();
    expect(receivers?.of('otp.sent', 'bank')).toBeNull();
    expect(webhookReceivers({ webhook: undefined, appsFile: undefined }, apps)).toBeNull();
  });

  it('is recorded if any receiver may want it', () => {
    expect(recordedEvents({ webhook, appsFile: undefined })).toEqual(eventTypes);
    expect(recordedEvents({ webhook: undefined, appsFile: undefined })).toEqual([]);
    const ofApps = recordedEvents({
      webhook: { ...webhook, events: ['balance.low'] },
      appsFile: 'apps.json',
    });
    expect(ofApps).toEqual(
      expect.arrayContaining(['balance.low', 'batch.finished', 'otp.sent', 'range.blocked']),
    );
    expect(ofApps).not.toContain('sending.paused');
  });
});

import type { ConfigFor } from '../config/roles.js';
import type { Apps, AppWebhook } from '../otp/app.js';
import { appEventTypes, type EventType, type WebhookEndpoint, type WebhookReceivers } from '../otp/event.js';
import { createWebhookEndpoint } from '../webhooks/endpoint.js';
import { eventsOf } from './composition.js';

/** The receivers of apps, and the gateway's own for all other events; null when neither can exist. */
export function webhookReceivers(
  { webhook, appsFile }: Pick<ConfigFor<'producer'>, 'webhook' | 'appsFile'>,
  apps: Apps,
): WebhookReceivers | null {
  if (!webhook && appsFile === undefined) return null;
  const own = webhook && {
    endpoint: createWebhookEndpoint({
      url: webhook.url.reveal(),
      secrets: webhook.secrets.reveal(),
      allowPrivate: webhook.privateAddresses === 'allow',
    }),
    events: eventsOf(webhook.events),
  };
  const ofApps = new Map<string, WebhookEndpoint>();
  const endpointOf = ({ url, secrets, allowPrivate }: AppWebhook): WebhookEndpoint => {
    const name = [url, allowPrivate, ...secrets].join(' ');
    const endpoint = ofApps.get(name) ?? createWebhookEndpoint({ url, secrets, allowPrivate });
    ofApps.set(name, endpoint);
    return endpoint;
  };
  return {
    of: (type, app) => {
      const isOfApp = (appEventTypes as readonly EventType[]).includes(type);
      const ofApp = app === null || !isOfApp ? null : apps.of(app).webhook;
      if (ofApp) return !ofApp.events || ofApp.events.includes(type) ? endpointOf(ofApp) : null;
      return own?.events.includes(type) ? own.endpoint : null;
    },
    close: async () => {
      await Promise.all([own?.endpoint, ...ofApps.values()].map((endpoint) => endpoint?.close()));
    },
  };
}

import type { ConfigFor } from '../config/commands.js';
import type { Apps, AppWebhook } from '../otp/app.js';
import { appEventTypes, type EventType, eventTypes, isEventType } from '../otp/event.js';
import type { WebhookEndpoint, WebhookReceivers } from '../otp/webhook.js';
import { createWebhookEndpoint } from '../webhooks/endpoint.js';

type WebhookConfig = Pick<ConfigFor<'producer'>, 'webhook' | 'appsFile'>;

/** Events that are written down: an app may get a receiver while the process runs, so those that it can have always are. */
export function recordedEvents({ webhook, appsFile }: WebhookConfig): readonly EventType[] {
  const ofApps: readonly EventType[] = appsFile === undefined ? [] : appEventTypes;
  return [...new Set([...eventsOf(webhook?.events ?? []), ...ofApps])];
}

/** The receivers of apps, and the gateway's own for everything else; null where there can be none. */
export function webhookReceivers({ webhook, appsFile }: WebhookConfig, apps: Apps): WebhookReceivers | null {
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

function eventsOf(names: readonly string[]): readonly EventType[] {
  return names.includes('all') ? eventTypes : names.filter(isEventType);
}

import { isIP } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { Agent, request } from 'undici';
import type { Delivery, WebhookEndpoint } from '../otp/event.js';
import { isPublicAddress, lookupPublic } from './public-address.js';

/** Of one attempt. Receivers should answer at once and work later: https://www.standardwebhooks.com. */
export const webhookTimeoutMs = 15_000;
const connectWithinMs = 5_000;
const bodyTimeoutMs = 1_000;
const connections = 64;
/** Of an answer, which says nothing that matters. */
const mostBytes = 16 * 1_024;

interface WebhookEndpointOptions {
  url: string;
  /** As `whsec_…`, the current one first; each signs, so that a receiver can change over. */
  secrets: readonly string[];
  /** Whether it may be inside this network. */
  allowPrivate: boolean;
  /** Of one attempt. */
  timeoutMs?: number;
}

/**
 * Delivers events as the Standard Webhooks specification has it (https://github.com/standard-webhooks/standard-webhooks):
 * `webhook-id`, `webhook-timestamp`, `webhook-signature`. Follows no redirect, and connects to public addresses only,
 * unless private ones are allowed.
 */
export function createWebhookEndpoint({
  url,
  secrets,
  allowPrivate,
  timeoutMs = webhookTimeoutMs,
}: WebhookEndpointOptions): WebhookEndpoint {
  const signers = secrets.map((secret) => new Webhook(secret));
  const agent = new Agent({
    connections,
    connect: { timeout: connectWithinMs, ...(!allowPrivate && { lookup: lookupPublic }) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  // An address is never looked up.
  const address = new URL(url).hostname.replace(/^\[|\]$/g, '');
  const refused = !allowPrivate && isIP(address) !== 0 && !isPublicAddress(address);
  return {
    deliver: async ({ id, payload }) => {
      if (refused) return { kind: 'failed', reason: 'private_address' };
      const at = new Date();
      const headers = {
        'content-type': 'application/json',
        'user-agent': 'isms-otp-gateway',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
        'webhook-signature': signers.map((signer) => signer.sign(id, at, payload)).join(' '),
      };
      try {
        const signal = AbortSignal.timeout(timeoutMs);
        const call = { method: 'POST', headers, body: payload, dispatcher: agent, signal } as const;
        const { statusCode, body } = await request(url, call);
        // What it says is known by now: a body that trickles must not hold others up.
        await body.dump({ limit: mostBytes, signal: AbortSignal.timeout(bodyTimeoutMs) }).catch(() => {});
        return judge(statusCode);
      } catch (error) {
        return { kind: 'failed', reason: reasonOf(error) };
      }
    },
    close: () => agent.close(),
  };
}

function judge(status: number): Delivery {
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  return { kind: status === 410 ? 'gone' : 'failed', reason: `status_${status}` };
}

/** Errors of the HTTP client hold addresses and headers, so only their kind gets out. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'EPRIVATE') return 'private_address';
  const timedOut = error instanceof Error && error.name === 'TimeoutError';
  if (timedOut || /TIMEOUT|ETIMEDOUT/.test(code)) return 'timeout';
  if (/ENOTFOUND|EAI_AGAIN/.test(code)) return 'name_not_found';
  if (/ECONNREFUSED|EHOSTUNREACH|ENETUNREACH/.test(code)) return 'not_connected';
  if (/CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code)) return 'tls';
  return 'connection_lost';
}

import { ADDRCONFIG, type LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { Agent, request } from 'undici';
import type { WebhookEndpoint } from '../otp/event.js';

/** Of one attempt. Receivers should answer at once and work later: https://www.standardwebhooks.com. */
export const webhookTimeoutMs = 15_000;
const connectWithinMs = 5_000;
const bodyTimeoutMs = 1_000;
const connections = 64;
/** Of an answer, which says nothing that matters. */
const mostBytes = 16 * 1_024;

/**
 * Delivers events as the Standard Webhooks specification has it (https://github.com/standard-webhooks/standard-webhooks):
 * `webhook-id`, `webhook-timestamp`, `webhook-signature`. Follows no redirect, and connects to public addresses only,
 * unless private ones are allowed.
 */
export function createWebhookEndpoint(options: {
  url: string;
  /** As `whsec_…`, the current one first; each signs, so that a receiver can change over. */
  secrets: readonly string[];
  /** Whether it may be inside this network. */
  allowPrivate: boolean;
  /** Of one attempt. */
  timeoutMs?: number;
}): WebhookEndpoint {
  const { url, secrets, allowPrivate, timeoutMs = webhookTimeoutMs } = options;
  const signers = secrets.map((secret) => new Webhook(secret));
  const agent = new Agent({
    connections,
    // Over HTTP/2 one connection would carry many deliveries.
    allowH2: false,
    connect: { timeout: connectWithinMs, lookup: allowPrivate ? lookupAny : lookupPublic },
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
        if (statusCode >= 200 && statusCode < 300) return { kind: 'delivered' };
        return { kind: statusCode === 410 ? 'gone' : 'failed', reason: `status_${statusCode}` };
      } catch (error) {
        return { kind: 'failed', reason: reasonOf(error) };
      }
    },
    close: () => agent.close(),
  };
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

/** What is not globally reachable: https://www.iana.org/assignments/iana-ipv4-special-registry, and its IPv6 sister. */
const special = new BlockList();
for (const range of [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['168.63.129.16/32', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16'],
  ...['198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/127', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/23', '2001:db8::/32', '2002::/16'],
  ...['3fff::/20', '5f00::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
]) {
  const [address = '', bits] = range.split('/');
  special.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

/** All of IPv6 that is given out; IPv4 inside IPv6 is not, and no name needs it. */
const global = new BlockList();
global.addSubnet('2000::', 3, 'ipv6');

/** Whether an IP address is one that anybody on the Internet can reach. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !special.check(address, 'ipv4');
  return isIP(address) === 6 && global.check(address, 'ipv6') && !special.check(address, 'ipv6');
}

/** The error for a name that leads to this network, not to the Internet. */
const privateAddressError = (): NodeJS.ErrnoException =>
  Object.assign(new Error('the name leads to private addresses only'), { code: 'EPRIVATE' });

/**
 * Lookups under way at a time: half of what libuv has for them, which is half of 16 threads (`isms-otp.ts`). Those of iSMS
 * and of Redis must not wait for receivers whose name servers hang.
 */
const lookupsAtATime = 4;

/** Shares the lookups of a name, and limits those under way; further ones wait. */
export function createLookups(resolve: (hostname: string) => Promise<LookupAddress[]>) {
  const underWay = new Map<string, Promise<LookupAddress[]>>();
  return async (hostname: string): Promise<LookupAddress[]> => {
    while (!underWay.has(hostname) && underWay.size >= lookupsAtATime) await Promise.race(ends(underWay));
    const looking = underWay.get(hostname) ?? resolve(hostname).finally(() => underWay.delete(hostname));
    underWay.set(hostname, looking);
    return await looking;
  };
}

const ends = (running: Map<string, Promise<unknown>>) =>
  [...running.values()].map((one) => one.catch(() => {}));

const lookUp = createLookups((hostname) => lookup(hostname, { all: true, hints: ADDRCONFIG }));

/**
 * Resolves names for connecting, and leaves out addresses that are not allowed. What it answers is what is connected to,
 * so that a name cannot lead elsewhere after it was checked.
 */
const lookupIf =
  (isAllowed: (address: string) => boolean): LookupFunction =>
  (hostname, options, done) => {
    lookUp(hostname).then(
      (addresses) => {
        const found = addresses.filter(({ address }) => isAllowed(address));
        const [first] = found;
        if (!first) return done(privateAddressError(), '', 0);
        if (options.all) return done(null, found);
        done(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => done(error, '', 0),
    );
  };
const lookupAny = lookupIf(() => true);
const lookupPublic = lookupIf(isPublicAddress);

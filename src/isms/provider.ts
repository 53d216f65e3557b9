import { momentIn, type Provider, type SendWindow } from '../otp/provider.js';
import {
  balanceOutcome,
  balanceParameters,
  sendOutcome,
  sendParameters,
  verifyOutcome,
  verifyParameters,
} from './calls.js';
import { createConnectionPool } from './connection-pool.js';
import { withoutSecrets } from './replies.js';

export interface IsmsOptions {
  /** The endpoint; all three calls go there. */
  url: string;
  username: string;
  password: string;
  connectTimeoutMs: number;
  /** Cap of a whole send, on top of the window that each send brings. */
  sendTimeoutMs: number;
  /** Cap of a whole verification or balance call, waiting for a connection included. */
  verifyTimeoutMs: number;
  sendConnections: number;
  verifyConnections: number;
}

/**
 * The iSMS 2FA account behind the provider port, over connections of its own for sends and for the rest.
 * Throws only when the URL cannot be read. Facts of the API: https://www.isms.com.my/2FA/request.php.
 */
export function createIsmsProvider(options: IsmsOptions): Provider {
  const { sendTimeoutMs, verifyTimeoutMs, username, password } = options;
  const shown = <O extends object>(outcome: O): O =>
    'text' in outcome
      ? { ...outcome, text: withoutSecrets(String(outcome.text), [username, password]) }
      : outcome;
  const sends = createConnectionPool(lineOptions(options, options.sendConnections));
  const others = createConnectionPool(lineOptions(options, options.verifyConnections));

  return {
    send: async (call, { leaveBy, endBy }) => {
      const window = { leaveBy, endBy: Math.min(endBy, performance.now() + sendTimeoutMs) };
      return shown(sendOutcome(await sends.call(sendParameters(call), window)));
    },
    verify: async (call) =>
      shown(verifyOutcome(await others.call(verifyParameters(call), windowOf(verifyTimeoutMs)), call)),
    balance: async () => balanceOutcome(await others.call(balanceParameters, windowOf(verifyTimeoutMs))),
    close: async () => {
      await Promise.all([sends.close(), others.close()]);
    },
  };
}

/** A call that belongs to no claim may leave as long as it runs. */
function windowOf(timeoutMs: number): SendWindow {
  const leaveBy = momentIn(timeoutMs);
  return { leaveBy, endBy: leaveBy.monotonic };
}

/** Node's own error for a bad URL would hold the URL, and with it any secret in it. */
function lineOptions({ url, username, password, connectTimeoutMs }: IsmsOptions, connections: number) {
  if (!URL.canParse(url)) throw new TypeError('The iSMS URL cannot be read.');
  return { url: new URL(url), common: { un: username, pass: password }, connections, connectTimeoutMs };
}

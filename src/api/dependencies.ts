import type { Logger } from '../lib/logger.js';
import type { TimeSlices } from '../lib/time-slices.js';
import type { App } from '../otp/app.js';
import type { Lane, Otp, OtpRequest } from '../otp/otp.js';
import type { Provider } from '../otp/provider.js';
import type { Enqueuer } from '../producer/enqueue.js';
import type { RequestSettings } from '../producer/otp-request.js';
import type { BatchQueue } from '../queues/batch.js';
import type { BalanceQueue } from '../queues/queues.js';
import type { SendOtpQueue } from '../queues/send-otp.js';
import type { WebhookQueue } from '../queues/webhook.js';
import type { Store } from '../store/store.js';

/** What the API is made from; each route takes what it needs. */
export interface ApiDependencies {
  /** On a connection that fails fast: one that queues commands would make requests wait for their deadline. */
  store: Store;
  enqueuer: Enqueuer;
  sendOtpQueue: SendOtpQueue;
  batchQueue: BatchQueue;
  balanceQueue: BalanceQueue;
  /** Null without webhooks. */
  webhookQueue: WebhookQueue | null;
  provider: Pick<Provider, 'verify' | 'balance'>;
  /** Every app that has a key now. */
  apps: { all(): readonly App[] };
  /** The keys that are valid now, known by their SHA-256 digests (32 bytes) only. */
  apiKeys: () => readonly { app: string; digest: Buffer }[];
  /** Methods that the iSMS-compatible API answers: none, POST, or GET as well, whose query string holds the key. */
  ismsCompatApi: 'off' | 'post' | 'get';
  /** The only login of the admin pages, and whether they offer actions or are read-only; null disables them. */
  admin: { username: string; password: string; actions: boolean } | null;
  /** Addresses and CIDR ranges whose `X-Forwarded-For` is trusted. */
  trustedProxies: readonly string[];
  settings: RequestSettings;
  /** Shared by uploads and lists. */
  slices: TimeSlices;
  /** True once the process shuts down. */
  isEnding(): boolean;
  /**
   * Values of `npm start`, which the start page shows to a browser on the same machine; null for a secret of the user's
   * own.
   */
  development?: { apiKey: string | null; inboxUrl: string | null } | null;
  /** The gateway's version, for the documentation. */
  version: string;
  logger: Logger;
  metrics: ApiMetrics;
}

/** Counters of the API. Labels have few values: apps, countries, routes, stable codes; never an OTP's data. */
interface ApiMetrics {
  /** A finished request; `route` as in the documentation, null where none matched. */
  request(request: { method: string; route: string | null; status: number; seconds: number }): void;
  /** OTPs accepted for the first time. */
  accepted(app: string, lane: Lane, requests: readonly OtpRequest[]): void;
  /** A rejected OTP, by its problem code; `request` is null where it could not be read. */
  rejected(app: string, lane: Lane, refused: { code: string; request: OtpRequest | null }): void;
  /** A verification's result: `verified`, a problem code, or `aborted` by a client that disconnected. */
  verification(app: string, result: string): void;
  /** A verified OTP. */
  verified(otp: Otp): void;
  /** A refusal of iSMS whose text the gateway does not know. */
  unrecognised(call: 'verify'): void;
  /** All metrics of this process in Prometheus's format. */
  exposition(): Promise<{ contentType: string; text: string }>;
}

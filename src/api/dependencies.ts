import type { Logger } from '../lib/logger.js';
import type { Provider } from '../otp/provider.js';
import type { Enqueuer } from '../producer/enqueue.js';
import type { RequestSettings } from '../producer/otp-request.js';
import type { BalanceQueue } from '../queues/queues.js';
import type { SendOtpQueue } from '../queues/send-otp.js';
import type { WebhookQueue } from '../queues/webhook.js';
import type { Store } from '../store/store.js';
import type { Admin } from './admin/admin.js';
import type { Development } from './docs/start-page.js';
import type { ApiKey } from './http/authentication.js';
import type { ApiMetrics } from './http/context.js';

/** What the API is made from; each route takes what it needs. */
export interface ApiDependencies {
  /** On a connection that fails fast: one that queues commands would make requests wait for their deadline. */
  store: Store;
  enqueuer: Enqueuer;
  sendOtpQueue: SendOtpQueue;
  balanceQueue: BalanceQueue;
  /** Null without webhooks. */
  webhookQueue: WebhookQueue | null;
  provider: Pick<Provider, 'verify' | 'balance'>;
  /** The keys that are valid now. */
  apiKeys: () => readonly ApiKey[];
  /** Methods that the iSMS-compatible API answers: none, POST, or GET as well, whose query string holds the key. */
  ismsCompatApi: 'off' | 'post' | 'get';
  /** Null disables the admin pages. */
  admin: Admin | null;
  /** Addresses and CIDR ranges whose `X-Forwarded-For` is trusted. */
  trustedProxies: readonly string[];
  settings: RequestSettings;
  /** True once the process shuts down. */
  isEnding(): boolean;
  /** Only in development: secrets that the start page shows. */
  development?: Development | null;
  /** The gateway's version, for the documentation. */
  version: string;
  logger: Logger;
  metrics: ApiMetrics;
}

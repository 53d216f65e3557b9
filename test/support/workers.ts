import type { Redis } from 'ioredis';
import { type Simulator, startSimulator } from 'isms-2fa-simulator';
import type { Logger } from '../../src/lib/logger.js';
import { createGateway } from '../../src/main/gateway.js';
import { createLifecycle } from '../../src/main/lifecycle.js';
import { load } from '../../src/main/load.js';
import type { OtpRequest } from '../../src/otp/otp.js';
import type { Provider } from '../../src/otp/provider.js';
import { createEnqueuer } from '../../src/producer/enqueue.js';
import { beginUpload, type UploadLine } from '../../src/producer/upload.js';
import type { CircuitBreaker, Clock } from '../../src/provider/circuit-breaker.js';
import type { BatchQueue } from '../../src/queues/batch.js';
import type { SendOtpQueue } from '../../src/queues/send-otp.js';
import type { Policy } from '../../src/store/script.js';
import type { Store } from '../../src/store/store.js';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.js';
import type { SendOtpDependencies } from '../../src/workers/send-otp.js';
import { startWorkers, type Workers, type WorkersOptions } from '../../src/workers/workers.js';
import { accountTrouble, admitted, policy, sleep, testStore } from './otps.js';
import { account, gatewayEnvironment } from './processes.js';
import { databaseUrl } from './redis.js';

export interface LogLine {
  level: 'info' | 'warn' | 'error';
  event?: string;
  [field: string]: unknown;
}

/** The parts of one worker process, with the simulator as its provider and a log to read. */
export interface Scene {
  store: Store;
  queue: SendOtpQueue;
  batchQueue: BatchQueue;
  simulator: Simulator;
  /** With circuit breakers and retry budget, as in a worker process. */
  provider: Provider;
  sendCircuit: CircuitBreaker;
  logger: Logger;
  metrics: Metrics;
  log: LogLine[];
  start(options?: {
    everyMs: number;
    sendsPerSecond?: number;
    sendsPerSecondOf?: WorkersOptions['sendsPerSecondOf'];
    webhooks?: WorkersOptions['webhooks'];
  }): Promise<Workers>;
  /** Admits and enqueues. */
  send(overrides?: Partial<OtpRequest>): Promise<string>;
  /** Waits until the OTP has a status that is none of queued and sending, at most 20 s. */
  settled(id: string): Promise<string>;
  close(): Promise<void>;
}

/** What a processor needs beside provider and store, without any trouble. */
export const quiet = {
  jobGate: { closed: false, trackJob: (work) => work(), note: () => {} },
  pauseGate: {
    state: 'open',
    report: async () => {},
    noteCall: () => {},
    noteAccepted: () => {},
  },
  appGate: {
    isClosed: () => false,
    pausedWaitMs: () => 0,
    acquire: async () => ({ trial: false, release: async () => {} }),
    noteAccepted: () => {},
    noteRefusal: () => {},
    classifyRefusal: async () => 'final',
  },
  credits: {
    balance: async () => ({ kind: 'known', credits: 100, expiresOn: null }),
    cover: () => true,
    judgeRefusal: async () => accountTrouble,
  },
  callLimit: null,
  appCallLimit: { take: async () => async () => {} },
} as const satisfies Partial<SendOtpDependencies>;

export interface SceneOptions {
  /** The clock of circuit breakers and retry budget. */
  clock?: Clock;
  /** Wraps the iSMS client, to watch the calls that are made. */
  watch?: (provider: Provider) => Provider;
}

export async function createScene(
  redis: Redis,
  overrides: Partial<Policy> = {},
  { clock, watch = (provider) => provider }: SceneOptions = {},
): Promise<Scene> {
  const sendTimeoutMs = overrides.sendLeaseMs ?? policy.sendLeaseMs;
  const simulator = await startSimulator(account);
  const config = load(gatewayEnvironment(databaseUrl(), simulator), 'worker');
  Object.assign(config.isms, { connectTimeoutMs: 1_000, sendTimeoutMs, verifyTimeoutMs: 2_000 });
  Object.assign(config.worker, { concurrency: 20 });
  const log: LogLine[] = [];
  const at = (level: LogLine['level']) => (fields: object) => void log.push({ level, ...fields });
  const logger: Logger = { info: at('info'), warn: at('warn'), error: at('error') };
  const metrics = createMetrics('0.0.0');
  const lifecycle = createLifecycle(() => {});
  const gateway = createGateway(config, {
    ...{ redis, logger, metrics, lifecycle },
    override: ({ isms }) => ({
      store: testStore(redis, overrides),
      isms: watch(isms),
      retentionSeconds: 60,
      ...(clock && { clock }),
    }),
  });
  const { store, sendOtpQueue: queue, batchQueue, provider, sendCircuit } = gateway;
  const running: Workers[] = [];
  const find = async (id: string) => (await store.otps.find('shop', id))?.status ?? 'gone';
  return {
    store,
    queue,
    batchQueue,
    simulator,
    provider,
    sendCircuit,
    logger,
    metrics,
    log,
    start: async (
      { everyMs, sendsPerSecond = 0, sendsPerSecondOf = () => 0, webhooks = null } = { everyMs: 60_000 },
    ) => {
      const options = { sendsPerSecond, sendsPerSecondOf, webhooks, balanceEveryMs: everyMs };
      const workers = await startWorkers({ ...gateway, ...options });
      running.push(workers);
      return workers;
    },
    send: async (request = {}) => {
      const id = await admitted(store, request);
      const otp = await store.otps.find(request.app ?? 'shop', id);
      if (otp) await queue.add(otp);
      return id;
    },
    settled: async (id) => {
      const deadline = Date.now() + 20_000;
      let status = await find(id);
      while (['queued', 'sending'].includes(status) && Date.now() < deadline) {
        await sleep(20);
        status = await find(id);
      }
      return status;
    },
    close: async () => {
      // Workers that still ran would take the jobs of the next test.
      await Promise.all(running.map((workers) => workers.close(40_000)));
      await Promise.all([queue.close(), batchQueue.queue.close()]);
      await lifecycle.close();
      await simulator.close();
    },
  };
}

/** Uploads OTPs of an app as a batch; resolves with its key in Redis. */
export async function uploadBatch(
  scene: Scene,
  requests: readonly OtpRequest[],
  app = 'shop',
): Promise<string> {
  const { store, queue, batchQueue, logger } = scene;
  const settings = { contentPolicy: 'off' as const, fraudGuardEnforces: false };
  const enqueuer = createEnqueuer({ store, sendOtpQueue: queue, batchQueue, settings, logger });
  const begun = await beginUpload({ store, enqueuer }, app, {
    ...{ name: null, startAt: null, perSecond: null, idempotencyKey: null },
  });
  if (typeof begun === 'string') throw new Error(begun);
  const lines = requests.map((request): UploadLine => ({ request, text: '' }));
  async function* groups() {
    yield { from: 0, lines };
  }
  for await (const _ of begun.accept(groups()));
  if (begun.summary.accepted !== requests.length) throw new Error('Lines of the upload were rejected.');
  return begun.summary.batchId.slice('batch_'.length);
}

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { Server } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { createSimulator, type SimulatorState } from 'isms-2fa-simulator';
import { isPending, type Otp, type Status } from '../../src/otp/otp.js';
import { createSendOtpQueue, type SendOtpQueue } from '../../src/queues/send-otp.js';
import { keys } from '../../src/store/keys.js';
import type { Store } from '../../src/store/store.js';
import { number, request, sleep, testStore } from '../support/otps.js';
import { account, type GatewayProcess, gatewayEnvironment, runCommand } from '../support/processes.js';
import { connectTo } from '../support/redis.js';
import { freePort, type RedisServerOptions } from '../support/redis-server.js';
import { type RedisUnderTest, startRedis } from '../support/redis-topology.js';

/** What an OTP is found by. */
export type KnownOtp = Pick<Otp, 'app' | 'id'>;

/** Real workers on a Redis of their own, sending to a simulator that counts what each number got. */
export interface Fleet {
  redis: RedisUnderTest;
  simulator: Provider;
  store: Store;
  queue: SendOtpQueue;
  workers: GatewayProcess[];
  startWorker(more?: Record<string, string>): GatewayProcess;
  /** Resolves once so many workers are ready for jobs: to kill one that still starts proves nothing. */
  ready(workers: number): Promise<void>;
  /** An API process; resolves once it answers. `redisUrl`: another way to Redis, through a proxy. */
  startApi(redisUrl?: string): Promise<FleetApi>;
  /** Admits and enqueues `count` OTPs, each to a number of its own. */
  enqueue(count: number): Promise<Otp[]>;
  /** Waits until every OTP has ended or been sent; throws with the statuses left after `withinMs`. */
  settled(otps: KnownOtp[], withinMs: number): Promise<Otp[]>;
  close(): Promise<void>;
}

/** An API process, and a way to ask it. */
export interface FleetApi {
  url: string;
  post(body: object, idempotencyKey?: string): Promise<Response>;
  /** Uploads one OTP to each number; how many were accepted. */
  postBulk(numbers: string[]): Promise<number>;
  get(path: string): Promise<{ status?: string }>;
  /** The status that a verification is answered with. */
  verify(id: string, code: string, binding?: string): Promise<number>;
}

/** The simulator behind a server that can be switched off and on again. */
export interface Provider {
  endpoint: string;
  state: SimulatorState;
  /** Sees the path and query of every call, for counts that the simulator does not keep. */
  watch(see: (target: string) => void): void;
  /** Refuses connections for so long; calls under way are answered. Stops its callers for a moment. */
  switchOff(ms: number, callers: GatewayProcess[]): Promise<void>;
  close(): void;
}

async function startProvider(): Promise<Provider> {
  const { app, state } = createSimulator({ ...account, settings: { credits: 1_000_000 } });
  let leaving = false;
  let see: (target: string) => void = () => {};
  const server = createHttpServer((req, res) => {
    if (leaving) res.setHeader('Connection', 'close');
    see(req.url ?? '');
    app(req, res);
  });
  const port = await freePort();
  const listen = async () => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await listen();
  return {
    endpoint: `http://127.0.0.1:${port}/2FA/request.php`,
    state,
    watch: (next) => {
      see = next;
    },
    switchOff: async (ms, callers) => {
      leaving = true;
      // Only stops listening: an HTTP server's own close would also cut idle connections, and with them a request
      // that was on its way. Kept connections end with their next answer, or when the client lets go of them.
      const gone = once(server, 'close');
      // A connection made between the look at the kernel and the close would be reset with the request in it.
      await Promise.all(callers.map(stopped));
      await allTaken(port);
      Server.prototype.close.call(server);
      for (const caller of callers) caller.signal('SIGCONT');
      await gone;
      await sleep(ms);
      leaving = false;
      await listen();
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/**
 * Resolves once this process has taken all connections that the kernel has: those left when a server stops listening are
 * reset, with requests that may be in them. Linux counts them beside a server's state (0A), after the colon.
 */
async function allTaken(port: number): Promise<void> {
  const place = `:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A `;
  for (;;) {
    await setImmediate();
    const server = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .find((line) => line.includes(place));
    if (server?.split(place)[1]?.startsWith('00000000:00000000 ')) return;
  }
}

/** Stops a process; resolves once its main thread, which alone opens connections, runs no more. */
async function stopped({ child, signal }: GatewayProcess): Promise<void> {
  signal('SIGSTOP');
  while (!/\) T /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'))) await setImmediate();
}

/** The key of the app `shop`. */
export const apiKey = 'shop-key-of-24-characters-or-more';

const batch = 200;

export async function startFleet(
  env: Record<string, string> = {},
  options: RedisServerOptions = {},
): Promise<Fleet> {
  const redis = await startRedis(options);
  const simulator = await startProvider();
  const client = await connectTo(redis.url);
  const maxResendsAfterUnknown = Number(env['MAX_RESENDS_AFTER_UNKNOWN'] ?? 1);
  const sendLeaseMs = Number(env['ISMS_SEND_TIMEOUT_MS'] ?? 30_000) + 2_000;
  const store = testStore(client, { maxResendsAfterUnknown, sendLeaseMs, retentionMs: 3_600_000 });
  const shards = Number(env['QUEUE_SHARDS'] ?? 1);
  const queue = createSendOtpQueue({ connection: client, onError: () => {}, shards });
  const workers: GatewayProcess[] = [];
  const fleet = { redis, simulator, store, queue, workers };
  return {
    ...fleet,
    startWorker: (more = {}) => {
      const worker = runCommand('worker', { ...gatewayEnvironment(redis.url, simulator), ...env, ...more });
      workers.push(worker);
      return worker;
    },
    ready: async (count) => {
      while (((await queue.queues[0]?.getWorkersCount()) ?? 0) < count) await sleep(20);
    },
    startApi: async (redisUrl = redis.url) => {
      const port = String(await freePort());
      const api = {
        ...gatewayEnvironment(redisUrl, simulator),
        ...env,
        API_KEYS: `shop:${apiKey}`,
        PORT: port,
      };
      workers.push(runCommand('api', api));
      const url = `http://127.0.0.1:${port}`;
      while (!(await fetch(`${url}/livez`).catch(() => null))?.ok) await sleep(50);
      const headers = { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json' };
      const send = (path: string, body: object, more: Record<string, string> = {}) =>
        fetch(`${url}${path}`, {
          method: 'POST',
          headers: { ...headers, ...more },
          body: JSON.stringify(body),
        });
      return {
        url,
        post: (body, idempotencyKey) =>
          send('/v1/otps', body, idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }),
        postBulk: async (numbers) => {
          const reply = await send('/v1/otps/bulk', { otps: numbers.map((to) => ({ to })) });
          return ((await reply.json()) as { accepted: number }).accepted;
        },
        get: async (path) =>
          (await (await fetch(`${url}${path}`, { headers })).json()) as { status?: string },
        verify: async (id, code, binding) => (await send(`/v1/otps/${id}/verify`, { code, binding })).status,
      };
    },
    enqueue: async (count) => {
      const otps: Otp[] = [];
      for (let first = 0; first < count; first += batch) {
        const size = Math.min(batch, count - first);
        otps.push(
          ...(await Promise.all(Array.from({ length: size }, (_, i) => enqueueOne(fleet, first + i)))),
        );
      }
      return otps;
    },
    settled: (otps, withinMs) => settled(store, otps, withinMs),
    close: async () => {
      await Promise.all(workers.map((worker) => worker.end('SIGKILL')));
      await queue.close();
      client.disconnect();
      simulator.close();
      await redis.stop();
    },
  };
}

/** The n-th of a million different Malaysian mobile numbers. */
export function nthNumber(n: number) {
  return number(`+6012${String(2_000_000 + n).padStart(7, '0')}`);
}

async function enqueueOne({ store, queue }: Pick<Fleet, 'store' | 'queue'>, n: number): Promise<Otp> {
  // A code that expired before it is counted would count neither as sent nor as unknown.
  const asked = request({ to: nthNumber(n), sendDeadlineSeconds: 1_800, ttlSeconds: 600 });
  const admission = await store.otps.admit(asked, null);
  if (admission.kind !== 'created') throw new Error(admission.kind);
  await queue.add(admission.otp);
  return admission.otp;
}

/** Waits until every OTP that the store knows has ended or been sent; throws with the statuses left. */
export async function settled(store: Store, otps: KnownOtp[], withinMs: number): Promise<Otp[]> {
  const deadline = Date.now() + withinMs;
  const done: Otp[] = [];
  let left: KnownOtp[] = otps;
  for (;;) {
    const found = await findAll(store, left);
    const pending = found.filter(({ status }) => isPending(status));
    if (found.length < left.length) throw new Error(`${left.length - found.length} OTPs are lost`);
    done.push(...found.filter(({ status }) => !isPending(status)));
    if (pending.length === 0) return done;
    if (Date.now() > deadline) throw new Error(`not settled: ${JSON.stringify(countByStatus(found))}`);
    left = pending;
    await sleep(500);
  }
}

async function findAll(store: Store, otps: KnownOtp[]): Promise<Otp[]> {
  const found: Otp[] = [];
  for (let first = 0; first < otps.length; first += batch) {
    const some = otps.slice(first, first + batch).map(({ app, id }) => store.otps.find(app, id));
    found.push(...(await Promise.all(some)).filter((otp) => otp !== null));
  }
  return found;
}

/** How many OTPs have each status. */
export function countByStatus(otps: Otp[]): Partial<Record<Status, number>> {
  const counts: Partial<Record<Status, number>> = {};
  for (const { status } of otps) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** OTPs that asked the provider more often than once plus the unknown outcomes on their record. */
export async function unexplainedCalls({ simulator, redis }: Fleet, otps: Otp[]): Promise<number> {
  const client = await connectTo(redis.url);
  const again = otps.filter(({ to }) => simulator.state.number(to.e164).calls > 1);
  const raws = await Promise.all(again.map(({ id }) => client.get(keys.recordOfId(id))));
  client.disconnect();
  const unknowns = raws.map((raw) => Number(JSON.parse(raw ?? '{}').unknowns));
  return again.filter(({ to }, i) => simulator.state.number(to.e164).calls > 1 + (unknowns[i] ?? 0)).length;
}

/** What the provider saw: numbers that got more than one SMS, and the most calls that one number got. */
export function providerSaw({ simulator }: Fleet, otps: Otp[]): { duplicates: number; mostCalls: number } {
  const counts = otps.map(({ to }) => simulator.state.number(to.e164));
  return {
    duplicates: counts.filter(({ sms }) => sms > 1).length,
    mostCalls: counts.reduce((most, { calls }) => Math.max(most, calls), 0),
  };
}

/** OTPs that the provider was never called for. */
export function withoutCall({ simulator }: Fleet, otps: Otp[]): number {
  return otps.filter(({ to }) => simulator.state.number(to.e164).calls === 0).length;
}

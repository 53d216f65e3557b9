import {
  Cluster,
  Redis,
  type RedisOptions,
  type SentinelConnectionOptions,
  SentinelConnector,
} from 'ioredis';
import { clusterUrl, sentinelUrl } from '../config/urls.js';
import type { Logger } from '../lib/logger.js';
import { startTimeout, TimedOut, withTimeout } from '../lib/with-timeout.js';
import { newOtpId, partitions } from '../otp/otp-id.js';
import { redisTrouble } from '../producer/redis-trouble.js';
import { shardName, shardOf } from '../queues/shards.js';
import { appendFsync } from '../store/history.js';
import { keys } from '../store/keys.js';
import { evictionPolicyIn } from '../store/load.js';
import { masterOf, mastersOf, type RedisClient } from '../store/script.js';
import { serializeError } from '../telemetry/redact.js';

const connectTimeoutMs = 2_000;
/** Shorter than a request's wait, so that a hung command does not block those behind it. */
const answerTimeoutMs = 1_500;
/** An admission on a cluster is several calls one after the other, and more than one may meet a master that hangs. */
const clusterAnswerTimeoutMs = 600;

/**
 * A connection from which nothing came for so long, while a command waited, is closed and made anew: a host that lost its
 * power or a firewall that forgot the connection says nothing, and TCP goes on trying for 15 minutes. The first is longer
 * than an answer may take; the second, than BullMQ's longest blocking command, 10 s.
 */
const silentRequestsMs = 5_000;
const silentWorkMs = 20_000;

/** At once, then at most a second apart: BullMQ's own default would wait up to 20 s after an outage. */
const retryStrategy = (times: number) => Math.min(50 * 2 ** times, 1_000);

/** For a process that answers requests: a command fails within 1.5 s, and at once while Redis is away. */
export function connectForRequests(url: string): RedisClient {
  const redis = open(url, {
    enableOfflineQueue: false,
    // A request answered with 503 must not run later.
    autoResendUnfulfilledCommands: false,
    // With 1, a command whose reply was lost would wait for its time-out instead of failing with the connection.
    maxRetriesPerRequest: 0,
    reconnectOnError: (error) => isReplica(error),
  });
  if (redis instanceof Cluster)
    redis.on('+node', (node: Redis) => limitAnswers(node, clusterAnswerTimeoutMs));
  else limitAnswers(redis, answerTimeoutMs);
  return redis;
}

/** Fails each command that is not answered in time. ioredis's own `commandTimeout` counts pauses of the process, too (ADR 33). */
function limitAnswers(redis: Redis, ms: number): void {
  const send = redis.sendCommand.bind(redis);
  const watch = closeWhenSilent(redis);
  redis.sendCommand = (command, stream) => {
    watch();
    const stop = startTimeout(ms, () => command.reject(new TimedOut(ms)));
    command.promise.then(stop, stop);
    return send(command, stream);
  };
}

/** Closes the connection where nothing comes for `silentRequestsMs` after a command, or another one, was sent. */
function closeWhenSilent(redis: Redis): () => void {
  let watched: Redis['stream'] | undefined;
  return () => {
    const { stream } = redis;
    if (!stream || stream === watched) return;
    watched = stream;
    const { bytesRead } = stream;
    startTimeout(silentRequestsMs, () => {
      watched = undefined;
      if (stream.bytesRead === bytesRead) stream.destroy(new TimedOut(silentRequestsMs));
    });
  };
}

/** For a worker: commands wait until Redis is back, since giving one up could lose or double a send (measured). */
export function connectForWork(url: string): RedisClient {
  return open(url, {
    maxRetriesPerRequest: null,
    socketTimeout: silentWorkMs,
    // Reconnects and sends the command again: every function of ours may come twice.
    reconnectOnError: (error) => (isReplica(error) ? 2 : false),
  });
}

/** For a command that ends by itself: fails at once when Redis is not there, and after 5 s when it hangs. */
export function connectOnce(url: string): RedisClient {
  const noRetry = { retryStrategy: () => null, sentinelRetryStrategy: () => null };
  const answers = { socketTimeout: silentRequestsMs, sentinelCommandTimeout: silentRequestsMs };
  return open(url, { maxRetriesPerRequest: 1, ...answers, ...noRetry });
}

function open(url: string, options: Omit<RedisOptions, 'replyMapping'>): RedisClient {
  const common = { connectTimeout: connectTimeoutMs, retryStrategy, ...options };
  if (clusterUrl.test(url)) return openCluster(url, common);
  const sentinel = sentinelUrl.exec(url)?.groups;
  if (!sentinel) return new Redis(url, common);
  const { username, password, hosts = '', master = '', db = '0', tls } = sentinel;
  return new Redis({
    sentinelRetryStrategy: retryStrategy,
    failoverDetector: true,
    Connector: LookUpUndisturbed,
    ...common,
    sentinels: hosts.split(',').map((address) => nodeAddress(address, '26379')),
    name: master,
    db: Number(db),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    ...(tls === 's' && { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true }),
  });
}

/**
 * Lets go of the failover detector before it asks Sentinel for the master again. ioredis 6.0 keeps it, and a failover that
 * it is told of meanwhile ends the connection for good (ADR 34). BullMQ's duplicates of a connection inherit this.
 */
class LookUpUndisturbed extends SentinelConnector {
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
  }

  override async connect(...args: Parameters<SentinelConnector['connect']>) {
    this.disconnect();
    return await super.connect(...args);
  }
}

/**
 * A connection to each node. A command that waits for Redis to come back is sent again as often as it takes; one of a
 * request is redirected a few times at most, and fails while no master serves its slot.
 */
function openCluster(url: string, redisOptions: Omit<RedisOptions, 'replyMapping'>): Cluster {
  const { username, password, hosts = '', tls } = clusterUrl.exec(url)?.groups ?? {};
  const waits = redisOptions.maxRetriesPerRequest === null;
  const nodes = hosts.split(',').map((address) => nodeAddress(address, '6379'));
  return new Cluster(nodes, {
    clusterRetryStrategy: redisOptions.retryStrategy ?? retryStrategy,
    // It asks any master, and the cluster would not be there for as long as that one is away.
    enableReadyCheck: false,
    enableOfflineQueue: redisOptions.enableOfflineQueue ?? true,
    maxRedirections: waits ? Number.MAX_SAFE_INTEGER : 3,
    slotsRefreshTimeout: connectTimeoutMs,
    // A certificate names the host; looked up beforehand, only its address would be known.
    ...(tls === 's' && { dnsLookup: (address, found) => found(null, address) }),
    redisOptions: {
      ...redisOptions,
      ...(username && { username: decodeURIComponent(username) }),
      ...(password && { password: decodeURIComponent(password) }),
      ...(tls === 's' && { tls: {} }),
    },
  });
}

function nodeAddress(address: string, usualPort: string): { host: string; port: number } {
  const [host = '', port = usualPort] = address.split(':');
  return { host, port: Number(port) };
}

/** What a former master answers after it was made a replica: the connection leads to the wrong server. */
function isReplica(error: Error): boolean {
  return error.message.startsWith('READONLY');
}

/** Closes a connection politely, or at once when Redis does not answer. */
export async function disconnect(redis: RedisClient): Promise<void> {
  if (redis.status === 'ready') await withTimeout(redis.quit(), answerTimeoutMs).catch(() => {});
  redis.disconnect();
}

const repeatedEveryMs = 30_000;

/**
 * Logs errors of connections, queues and repeated work. Trouble with Redis comes with each attempt to reconnect: it is
 * logged once with its reason, then at most every 30 s with the count. While the process ends it is expected.
 */
export function createErrorLog(logger: Logger, isEnding: () => boolean) {
  const logged = new Map<string, { at: number; count: number }>();
  return (error: unknown, { event } = { event: 'queue.error' }): void => {
    const reason = redisTrouble(error) ?? (event === 'redis.error' ? 'connection' : null);
    if (reason === null) {
      logger.error({ event, err: serializeError(error) }, 'error in a queue or in background work');
      return;
    }
    if (isEnding()) return;
    const last = logged.get(reason) ?? { at: Number.NEGATIVE_INFINITY, count: 0 };
    logged.set(reason, last);
    last.count += 1;
    if (performance.now() - last.at < repeatedEveryMs) return;
    const { code, message } = error as Error & { code?: unknown };
    const fields = { event: 'redis.error', reason, problem: message || String(code), count: last.count };
    logger.error(fields, 'Redis is not reachable or refuses to serve; retrying');
    Object.assign(last, { at: performance.now(), count: 0 });
  };
}

const lossRisks: Record<string, string> = {
  everysec:
    'a crash can lose up to 2 s of what it answered for: an OTP may be sent twice or stay unknown, and a used code may verify once more',
  no: 'a crash can lose all writes that the system had not flushed',
  off: 'appendonly is off: a crash loses everything since the last snapshot',
  hidden: 'its settings cannot be read (CONFIG is forbidden): make sure that it syncs every write',
};

/** Warns of settings that can lose or evict data. */
export async function warnOfRedis(redis: RedisClient, shards: number, logger: Logger): Promise<void> {
  const masters = mastersOf(redis);
  // A failed check must not hide the others' findings.
  await Promise.allSettled([
    warnOfLoss(redis, logger),
    warnOfEviction(masters, logger),
    ...(redis instanceof Cluster ? [warnOfCoverage(masters, logger)] : []),
  ]);
  if (redis instanceof Cluster) warnOfShards(redis, shards, logger);
}

async function warnOfLoss(redis: RedisClient, logger: Logger): Promise<void> {
  const appendfsync = await appendFsync(redis);
  const risk = lossRisks[appendfsync];
  if (risk)
    logger.warn({ event: 'redis.not_durable', appendfsync, risk }, 'Redis can lose acknowledged writes');
}

async function warnOfEviction(masters: readonly Redis[], logger: Logger): Promise<void> {
  const memory = await Promise.all(masters.map((master) => master.info('memory')));
  const policy = memory.map(evictionPolicyIn).find((one) => one !== null);
  if (policy !== undefined) {
    logger.warn({ event: 'redis.eviction_enabled', policy }, 'Redis may evict data: set noeviction');
  }
}

async function warnOfCoverage(masters: readonly Redis[], logger: Logger): Promise<void> {
  const setting = 'cluster-require-full-coverage';
  const found = await Promise.all(masters.map((master) => master.config('GET', setting)));
  if (found.some((pair) => (pair as string[])[1] === 'yes')) {
    logger.warn(
      { event: 'redis.full_coverage_required' },
      `this cluster answers no request while one master is away: set ${setting} to no`,
    );
  }
}

/** A record whose job lies with another master is stopped by either. */
function warnOfShards(redis: Cluster, shards: number, logger: Logger): void {
  const shardOfId = shardOf(shards);
  const apart = partitions.filter((tag) => {
    const { name, prefix } = shardName(shardOfId(newOtpId(tag)));
    return masterOf(redis, keys.due(tag)) !== masterOf(redis, `${prefix}:${name}`);
  });
  if (apart.length === 0) return;
  logger.warn(
    { event: 'redis.shards_uneven', shards, apart: apart.length, of: partitions.length },
    'QUEUE_SHARDS does not fit the masters: see docs/scaling.md',
  );
}

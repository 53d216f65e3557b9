import type { Redis } from 'ioredis';
import { partitionOfId } from '../../src/otp/otp-id.js';
import type { SendOutcome } from '../../src/otp/outcome.js';
import { momentIn, type Provider } from '../../src/otp/provider.js';
import type { Clock } from '../../src/provider/circuit-breaker.js';
import { resilientProvider } from '../../src/provider/decorated-provider.js';
import { createHistories } from '../../src/store/history.js';
import { keys } from '../../src/store/keys.js';
import type { SendClaim } from '../../src/store/send-attempts.js';
import type { Store } from '../../src/store/store.js';
import { manualClock } from '../support/manual-clock.js';
import { accepted, number, request, testStore } from '../support/otps.js';
import { redisClock } from '../support/redis-clock.js';
import type { RedisServer } from '../support/redis-server.js';
import type { Rules } from './model.js';

/** The gateway's own parts on a real Redis, and everything that may happen to them. */
export interface System {
  /** What happened in all histories so far; losses are crashes that took Redis's last moments with them. */
  readonly counts: { commands: number; calls: number; losses: number };
  /** What the newest process of the gateway works with. */
  readonly store: Store;
  /** Which encryption key it hashes and encrypts with: 0 or 1. */
  readonly keyInFront: number;
  /** Redis's time. */
  now(): number;
  /** Empties Redis and begins anew. */
  begin(rules: Rules): Promise<void>;
  /** Moves every clock. */
  advance(ms: number): Promise<void>;
  /** Redis drops what has expired, which by the real clock it has not. */
  expire(): Promise<void>;
  /** The next process of the gateway has the other encryption key in front. */
  rotateKey(): void;
  /** Redis has everything of this moment on its disk. */
  sync(): Promise<void>;
  /** Redis crashes and comes back, with what was synced last or with everything. */
  crashRedis(comesBackWith: 'what was synced' | 'everything'): Promise<void>;
  /** A worker calls iSMS, which answers with `outcome` if the call gets there. */
  call(claim: SendClaim, outcome: SendOutcome): Promise<{ outcome: SendOutcome; reached: boolean }>;
  /** A worker takes the place of one that crashed. */
  restartWorker(): void;
  /** Other OTPs are sent again until the worker's retry budget is used up. */
  spendRetryBudget(): Promise<void>;
  /** Every key that Redis keeps, and when it expires (-1: never). */
  kept(): Promise<[key: string, expiresAt: number][]>;
  close(): void;
}

/** Fixed, so that a seed says everything. */
const encryptionKeys: [Buffer, Buffer] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
/** A call may leave for so long after its claim was asked for (`src/workers/send-otp.ts`). */
const leaveWithinMs = 1_000;

const lua = {
  begin: `for _, key in ipairs(redis.call('KEYS', '*:{*')) do redis.call('DEL', key) end
    local info = redis.call('INFO')
    local function field(name) return string.match(info, '\\n' .. name .. ':(%S+)') end
    for _, key in ipairs(KEYS) do
      redis.call('HSET', key, 'id', field('master_replid'), 'run', field('run_id'), 'synced', ARGV[1])
    end`,
  sync: `for _, key in ipairs(redis.call('KEYS', 'synced:*')) do redis.call('DEL', key) end
    for _, key in ipairs(redis.call('KEYS', 'isms:*')) do redis.call('COPY', key, 'synced:' .. key) end`,
  restore: `for _, key in ipairs(redis.call('KEYS', 'isms:*')) do redis.call('DEL', key) end
    for _, key in ipairs(redis.call('KEYS', 'synced:*')) do redis.call('COPY', key, string.sub(key, 8)) end`,
  // What Redis holds was written by another run of it than the one that is asked from now on.
  restart: `for _, key in ipairs(KEYS) do redis.call('HSET', key, 'id', 'earlier', 'run', 'earlier') end`,
  expire: `for _, key in ipairs(redis.call('KEYS', 'isms:*')) do
      local expires_at = redis.call('PEXPIRETIME', key)
      if expires_at > 0 and expires_at <= tonumber(ARGV[1]) then redis.call('DEL', key) end
    end`,
  kept: `local kept = {}
    for i, key in ipairs(redis.call('KEYS', 'isms:*')) do kept[i] = { key, redis.call('PEXPIRETIME', key) } end
    return kept`,
};

/** The parts of the gateway for many histories. `rewrite` may put a mistake into its Lua functions. */
export function createSystem(server: RedisServer, rewrite?: (source: string) => string): System {
  const raw = server.connect();
  const clock = redisClock(raw, rewrite);
  const ids = testStore(raw, {}, encryptionKeys).phones.idsOf(number(), '00'.repeat(16));
  const partitions = ids.map((id) => partitionOfId(id) ?? '');
  const histories = partitions.map(keys.history);
  const run = (source: string, ...args: (string | number)[]) =>
    raw.eval(source, histories.length, ...histories, ...args);

  const stores = new Map<string, Store>();
  let rules: Rules;
  let keyInFront: 0 | 1 = 0;
  let monotonic = manualClock();
  let worker = createWorker(monotonic);
  const redis = withShortcuts(clock.redis, { partitions, isDurable: () => rules.durable });
  const { note } = createHistories(redis, () => {});
  const store = () => {
    const name = `${keyInFront} ${rules.maxResendsAfterUnknown}`;
    const [first, second] = encryptionKeys;
    const found =
      stores.get(name) ?? testStore(redis, rules, keyInFront === 0 ? [first, second] : [second, first]);
    stores.set(name, found);
    return found;
  };

  return {
    counts: { commands: 0, calls: 0, losses: 0 },
    get store() {
      return store();
    },
    get keyInFront() {
      return keyInFront;
    },
    now: clock.now,
    begin: async (next) => {
      rules = next;
      keyInFront = 0;
      monotonic = manualClock();
      worker = createWorker(monotonic);
      await run(lua.begin, rules.durable ? 1 : 0);
      await run(lua.sync);
    },
    advance: async (ms) => {
      monotonic.advance(ms);
      await clock.advance(ms);
    },
    expire: async () => void (await run(lua.expire, clock.now())),
    rotateKey: () => {
      keyInFront = keyInFront === 0 ? 1 : 0;
    },
    sync: async () => {
      // A loss is judged before anything that comes after it is on disk: sweepers see to that each second.
      await Promise.all(histories.map(note));
      await run(lua.sync);
    },
    crashRedis: async (comesBackWith) => {
      if (comesBackWith === 'what was synced') await run(lua.restore);
      await run(lua.restart);
    },
    call: (claim, outcome) => {
      const isLate = clock.now() - claim.claimedAt > leaveWithinMs;
      return worker.call(claim, isLate ? { kind: 'unsent', reason: 'stale_claim' } : outcome);
    },
    restartWorker: () => {
      worker = createWorker(monotonic);
    },
    spendRetryBudget: () => worker.spendRetryBudget(),
    kept: async () => (await run(lua.kept)) as [string, number][],
    close: () => raw.disconnect(),
  };
}

/** A worker's way to an iSMS that answers what it is told to. */
function createWorker(clock: Clock) {
  let answer: SendOutcome;
  let reached = false;
  const isms: Provider = {
    send: async () => {
      reached = answer.kind !== 'unsent' || answer.reason !== 'stale_claim';
      return answer;
    },
    verify: () => Promise.reject(new Error('a worker verifies nothing')),
    balance: () => Promise.reject(new Error('nothing is paused')),
    close: async () => {},
  };
  const { provider } = resilientProvider(isms, { logger: { info: () => {}, warn: () => {} }, clock });
  const window = { leaveBy: momentIn(leaveWithinMs), endBy: Number.POSITIVE_INFINITY };
  const send = async (call: Parameters<Provider['send']>[0], outcome: SendOutcome) => {
    [answer, reached] = [outcome, false];
    return { outcome: await provider.send(call, window), reached };
  };
  return {
    call: (claim: SendClaim, outcome: SendOutcome) =>
      send({ ...claim.otp, callNumber: claim.tries + 1 }, outcome),
    spendRetryBudget: async () => {
      const another = { ...request(), callNumber: 2 };
      let spent: SendOutcome;
      do spent = (await send(another, accepted())).outcome;
      while (spent.kind === 'accepted');
    },
  };
}

/** What costs calls and tells nothing: partitions that no OTP is in, and what Redis's settings are. */
function withShortcuts(
  redis: Redis,
  { partitions, isDurable }: { partitions: string[]; isDurable(): boolean },
): Redis {
  const dues = partitions.map(keys.due);
  const nothingDue = [[[], [], []]];
  const evaluate =
    (name: 'eval' | 'evalsha') =>
    async (text: string, count: number, key: string, ...rest: (string | number)[]) =>
      key.endsWith('}:due') && !dues.includes(key)
        ? nothingDue
        : await redis[name](text, count, key, ...rest);
  const settings: Record<string, string> = { appendonly: 'yes' };
  const overrides: Record<string, unknown> = {
    eval: evaluate('eval'),
    evalsha: evaluate('evalsha'),
    config: async (_: 'GET', name: string) => [name, settings[name] ?? (isDurable() ? 'always' : 'everysec')],
  };
  return new Proxy(redis, {
    get: (target, name) => overrides[String(name)] ?? Reflect.get(target, name),
  });
}

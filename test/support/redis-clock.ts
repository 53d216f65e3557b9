import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

const dayMs = 86_400_000;
const sha1 = (text: string) => createHash('sha1').update(text).digest('hex');

/** A Redis whose functions read a clock that only the test moves; keys still expire by the real one. */
export interface RedisClock {
  redis: Redis;
  /** Milliseconds since 1970. */
  now(): number;
  /** What was asked for before, and not waited for, has left with the time before. */
  advance(ms: number): Promise<void>;
}

/** Where functions read the time of a single Redis. */
export const clockKey = 'test-clock';

/**
 * Lets every Lua text on its way to Redis read this clock; all else is the connection as it is. On a cluster, where no key
 * can be read from everywhere, the time is written into the text, which Redis compiles anew each time.
 * `mutate` may change a text before that.
 */
export function redisClock(redis: Redis, mutate = (source: string) => source): RedisClock {
  const sources = new Map<string, string>();
  /** On a single Redis, the text and its SHA that stand for each source: they stay the same. */
  const rewritten = new Map<string, { text: string; sha: string }>();
  // The next noon (UTC): no test crosses midnight by accident, and no key has expired before it is written.
  let at = Math.ceil(Date.now() / dayMs) * dayMs + dayMs / 2;
  const show = async () => {
    if (redis.isCluster) return;
    await redis.mset(`${clockKey}:s`, Math.floor(at / 1_000), `${clockKey}:us`, `${at % 1_000}000`);
  };
  void show();
  const withTime = (source: string, time: string) => {
    const text = mutate(source).replaceAll("redis.call('TIME')", time);
    if (/\bnow\(\)/.test(text) && !text.includes(time)) throw new Error('this function reads another clock');
    sources.set(sha1(source), source);
    return text;
  };
  const rewrite = (source: string) => {
    const text = withTime(source, `redis.call('MGET', '${clockKey}:s', '${clockKey}:us')`);
    const made = { text, sha: sha1(text) };
    rewritten.set(source, made);
    return made;
  };
  const overrides = {
    evalsha: async (sha: string, ...rest: [number, ...string[]]) => {
      const source = sources.get(sha);
      if (source === undefined) throw new Error('NOSCRIPT');
      return await overrides.eval(source, ...rest);
    },
    eval: async (source: string, ...rest: [number, ...string[]]) => {
      if (redis.isCluster) {
        const time = `{ '${Math.floor(at / 1_000)}', '${at % 1_000}000' }`;
        return await redis.eval(withTime(source, time), ...rest);
      }
      const { text, sha } = rewritten.get(source) ?? rewrite(source);
      return await redis
        .evalsha(sha, ...rest)
        .catch((error: Error) =>
          error.message.startsWith('NOSCRIPT') ? redis.eval(text, ...rest) : Promise.reject(error),
        );
    },
  };
  return {
    redis: new Proxy(redis, {
      get: (target, name) => {
        if (name in overrides) return Reflect.get(overrides, name);
        const member = Reflect.get(target, name);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    }),
    now: () => at,
    advance: async (ms) => {
      await redis.ping();
      at += ms;
      await show();
    },
  };
}

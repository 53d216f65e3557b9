import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

const clockKey = 'test:clock';
const dayMs = 86_400_000;
const sha1 = (text: string) => createHash('sha1').update(text).digest('hex');

/** A Redis whose functions read a clock that only the test moves; keys still expire by the real one. */
export interface RedisClock {
  redis: Redis;
  /** Milliseconds since 1970. */
  now(): number;
  advance(ms: number): Promise<void>;
}

/** Puts the clock into every Lua text on its way to Redis; all else is the connection as it is. */
export async function redisClock(redis: Redis): Promise<RedisClock> {
  const changed = new Map<string, string>();
  // The next noon (UTC): no test crosses midnight by accident, and no key has expired before it is written.
  let at = Math.ceil(Date.now() / dayMs) * dayMs + dayMs / 2;
  const write = () =>
    redis.set(clockKey, JSON.stringify([String(Math.floor(at / 1_000)), `${at % 1_000}000`]));
  await write();
  const overrides = {
    evalsha: async (sha: string, ...rest: [number, ...string[]]) => {
      const other = changed.get(sha);
      if (other === undefined) throw new Error('NOSCRIPT');
      return await redis.evalsha(other, ...rest);
    },
    eval: async (source: string, ...rest: [number, ...string[]]) => {
      const text = source.replaceAll("redis.call('TIME')", `cjson.decode(redis.call('GET', '${clockKey}'))`);
      if (text === source) throw new Error('this function reads no clock');
      changed.set(sha1(source), sha1(text));
      return await redis.eval(text, ...rest);
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
      at += ms;
      await write();
    },
  };
}

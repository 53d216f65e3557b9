import { z } from 'zod';
import { createBatcher } from '../lib/batcher.js';
import { minuteMs } from '../lib/time.js';
import type { Otp } from '../otp/otp.js';
import { keys } from './keys.js';
import { json, loadScript, type StoreContext } from './script.js';

const alarmSchema = z.object({
  since: z.number(),
  /** Ends then, unless conversion stays low. */
  ends: z.number(),
  /** OTPs sent and verified at the last evaluation. */
  sent: z.number(),
  verified: z.number(),
});

/** Hardly any OTPs of an app to a country are verified, as when SMS are pumped. Times are ms of Redis's clock. */
export type ConversionAlarm = ReturnType<typeof named> & z.infer<typeof alarmSchema>;

/** The share of OTPs that are verified, by app and country. It raises alarms and refuses nothing. */
export type Conversion = ReturnType<typeof createConversion>;

/** Notes under way at a time; more are dropped. */
const mostPending = 10_000;
/** No request waits for them, so those that come while one call is under way are the next one. */
const gatheredLong = { most: 1_000, inFlight: 1 };

const judgeReply = z.array(json(z.object({ name: z.string(), sent: z.number(), verified: z.number() })));
const latelyReply = z.array(
  json(z.object({ name: z.string(), sent: z.number(), judged: z.number(), verified: z.number() })),
);

interface Note {
  name: string;
  what: 'sent' | 'verified';
  /** When it was sent. */
  at: number;
}

/** The counts in Redis, all in one hash: apps and countries are few. */
export function createConversion({ redis, policy }: StoreContext) {
  const noteScript = loadScript(redis, 'ranges/conversion#note');
  const latelyScript = loadScript(redis, 'ranges/conversion#lately');
  const judgeScript = loadScript(redis, 'ranges/conversion#judge', policy);
  const noteGathered = createBatcher(async (notes: Note[]) => {
    await noteScript([keys.conversion], summed(notes));
    return notes;
  }, gatheredLong);
  let pending = 0;
  return {
    /** Counts an OTP that was sent, or verified. Never rejects: an alarm does not depend on a single one. */
    note: async (
      { app, to, isTest, sentAt }: Pick<Otp, 'app' | 'to' | 'isTest' | 'sentAt'>,
      what: 'sent' | 'verified',
    ) => {
      // Notes for an unavailable Redis must not fill this process.
      if (isTest || sentAt === null || pending >= mostPending) return;
      pending += 1;
      await noteGathered({ name: `${app} ${to.country}`, what, at: sentAt }).catch(() => {});
      pending -= 1;
    },
    /** Evaluates OTPs sent at least a minute ago. Resolves with the alarms that this call switched. */
    judge: async () => {
      const scriptKeys = [keys.conversion, keys.conversionAlarms, keys.events('conversion')];
      const switched = judgeReply
        .parse(await judgeScript(scriptKeys, []))
        .map(({ name, sent, verified }) => ({ ...named(name), sent, verified }));
      return {
        raised: switched.filter(({ sent }) => sent > 0),
        ended: switched.filter(({ sent }) => sent === 0),
      };
    },
    /** By app and country: OTPs sent in the last ten minutes, of these a minute ago or more, and of those verified. */
    lately: async () =>
      latelyReply
        .parse(await latelyScript([keys.conversion], []))
        .map(({ name, ...counts }) => ({ ...named(name), ...counts })),
    /** The alarms that are on. */
    alarms: async () => {
      const now = Date.now();
      const all = Object.entries(await redis.hgetall(keys.conversionAlarms));
      return all
        .map(([name, raw]) => ({ ...named(name), ...alarmSchema.parse(JSON.parse(raw)) }))
        .filter(({ ends }) => ends > now)
        .sort((a, b) => a.since - b.since);
    },
  };
}

function named(name: string) {
  const [app = '', country = ''] = name.split(' ');
  return {
    app,
    /** ISO 3166-1 alpha-2. */
    country,
  };
}

/** As arguments of the Lua function; what belongs together is counted here, so that Redis counts once. */
function summed(notes: readonly Note[]): (string | number)[] {
  const sums = new Map<string, Note & { count: number }>();
  for (const { name, what, at } of notes) {
    const key = `${name} ${what} ${Math.floor(at / minuteMs)}`;
    const sum = sums.get(key) ?? { name, what, at, count: 0 };
    sum.count += 1;
    sums.set(key, sum);
  }
  return [...sums.values()].flatMap(({ name, what, at, count }) => [name, what, at, count]);
}

import { z } from 'zod';
import { dayMs } from '../lib/time.js';
import { type BalanceLimits, balanceAlarms, consumption, consumptionDays } from '../otp/balance.js';
import { keys } from './keys.js';
import { loadScript, type StoreContext } from './script.js';

const historyKeptMs = 90 * dayMs;
/** More than a week of snapshots every five minutes. */
const mostPoints = 5_000;

const snapshotSchema = z.object({
  at: z.number(),
  credits: z.number(),
  expiresOn: z.string().nullable().default(null),
});

/** The balance at one moment: `at` in ms of Redis's clock, `expiresOn` as `YYYY-MM-DD`. */
export type BalanceSnapshot = z.infer<typeof snapshotSchema>;

export type BalanceStore = ReturnType<typeof createBalanceStore>;

const recordReply = z.tuple([z.string(), z.array(z.enum(['low', 'expiring']))]);

/** Balance snapshots, kept for 90 days. */
export function createBalanceStore(
  options: Omit<StoreContext, 'encrypter'> & { balanceLimits: BalanceLimits },
) {
  const { redis, policy, balanceLimits: limits } = options;
  const record = loadScript(redis, 'gateway/record-balance', policy);
  const parse = (raw: string) => snapshotSchema.parse(JSON.parse(raw));
  const history = async ({ since, until, limit }: { since: number; until: number; limit: number }) => {
    const raws = await redis.zrevrangebyscore(keys.balanceHistory, `(${until}`, since, 'LIMIT', 0, limit);
    return raws.map(parse);
  };
  const latest = async () => {
    const [raw] = await redis.zrevrange(keys.balanceHistory, 0, 0);
    return raw === undefined ? null : parse(raw);
  };
  return {
    /** The alarms that a snapshot rings now. */
    alarms: (snapshot: BalanceSnapshot) => balanceAlarms(snapshot, limits, Date.now()),
    /** Keeps a snapshot; `switched` names the alarms that it, and no earlier one, turned on or off. */
    record: async (balance: { credits: number; expiresOn: string | null }) => {
      const alarms = balanceAlarms(balance, limits, Date.now());
      const { low, expiring } = alarms;
      const { credits, expiresOn } = balance;
      const args = [credits, expiresOn ?? '', low ? 1 : 0, expiring ? 1 : 0, historyKeptMs];
      const [raw, switched] = recordReply.parse(
        await record([keys.balanceHistory, keys.balanceAlarms, keys.events('balance')], args),
      );
      return { snapshot: parse(raw), switched: switched.map((alarm) => ({ alarm, on: alarms[alarm] })) };
    },
    latest,
    /** Newest first, `since` ≤ at < `until`; at most `limit`. */
    history,
    /** Oldest first, the first one in each of `points` equal parts of that time, and the newest. */
    curve: async ({ since, until, points }: { since: number; until: number; points: number }) => {
      const stepMs = (until - since) / points;
      const begins = Array.from({ length: points }, (_, i) => since + i * stepMs);
      const firsts = begins.map((at) =>
        redis.zrangebyscore(keys.balanceHistory, at, `(${at + stepMs}`, 'LIMIT', 0, 1),
      );
      const found = (await Promise.all(firsts)).flat().map(parse);
      const newest = await latest();
      return newest && newest.at !== found.at(-1)?.at ? [...found, newest] : found;
    },
    /** What is used per day, and when that runs out, by the snapshots of the last 7 days. */
    outlook: async () => {
      const now = Date.now();
      const since = now - consumptionDays * dayMs;
      const points = await history({ since, until: now + dayMs, limit: mostPoints });
      return consumption(points.reverse(), now);
    },
  };
}

import type { Redis } from 'ioredis';
import { z } from 'zod';
import { keys } from './keys.js';
import { loadPlainScript } from './script.js';

const dayMs = 86_400_000;
const historyKeptMs = 90 * dayMs;

const snapshotSchema = z.object({
  at: z.number(),
  credits: z.number(),
  expiresOn: z.string().nullable().default(null),
});

/** The balance at one moment: `at` in ms of Redis's clock, `expiresOn` as `YYYY-MM-DD`. */
export type BalanceSnapshot = z.infer<typeof snapshotSchema>;

export interface BalanceAlarms {
  low: boolean;
  expiring: boolean;
}

export interface BalanceStore {
  /** Keeps a snapshot; `switched` names the alarms that it, and no earlier one, turned on or off. */
  record(
    balance: { credits: number; expiresOn: string | null },
    alarms: BalanceAlarms,
  ): Promise<{ snapshot: BalanceSnapshot; switched: (keyof BalanceAlarms)[] }>;
  latest(): Promise<BalanceSnapshot | null>;
  /** Newest first, `since` ≤ at < `until`; at most `limit`. */
  history(range: { since: number; until: number; limit: number }): Promise<BalanceSnapshot[]>;
}

const recordReply = z.tuple([z.string(), z.array(z.enum(['low', 'expiring']))]);

/** Balance snapshots, kept for 90 days. */
export function createBalanceStore(redis: Redis): BalanceStore {
  const record = loadPlainScript(redis, 'record-balance');
  const parse = (raw: string) => snapshotSchema.parse(JSON.parse(raw));
  return {
    record: async ({ credits, expiresOn }, { low, expiring }) => {
      const args = [credits, expiresOn ?? '', low ? 1 : 0, expiring ? 1 : 0, historyKeptMs];
      const [raw, switched] = recordReply.parse(
        await record([keys.balanceHistory, keys.balanceAlarms], args),
      );
      return { snapshot: parse(raw), switched };
    },
    latest: async () => {
      const [raw] = await redis.zrevrange(keys.balanceHistory, 0, 0);
      return raw === undefined ? null : parse(raw);
    },
    history: async ({ since, until, limit }) => {
      const raws = await redis.zrevrangebyscore(keys.balanceHistory, `(${until}`, since, 'LIMIT', 0, limit);
      return raws.map(parse);
    },
  };
}

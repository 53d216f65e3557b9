import { z } from 'zod';
import { type AccountTrouble, accountTroubles } from '../otp/outcome.js';
import { keys } from './keys.js';
import { createPauseReader } from './pause-reader.js';
import { loadScript, type Policy, plainSource, type RedisClient } from './script.js';

/** Why sending is paused, since when (ms of Redis's clock), and what a refused send would have cost. */
export interface Pause {
  trouble: AccountTrouble;
  since: number;
  creditsNeeded: number;
}

/** The pause for account trouble, shared by all workers. An operator's pause of the queue is BullMQ's own. */
export interface SendingPause {
  read(): Promise<Pause | null>;
  /** Why nothing is sent now, an operator's pause of a queue included; what cannot be read is as it was last. */
  reason(): Promise<AccountTrouble | 'operator' | null>;
  /** True when this report began the pause; trouble of claims older than the last resume is ignored. */
  report(report: { trouble: AccountTrouble; claimedAt: number; credits: number }): Promise<boolean>;
  /** True when this call ended the pause. */
  resume(): Promise<boolean>;
}

const pauseSchema = z.object({
  trouble: z.enum(accountTroubles),
  since: z.coerce.number(),
  creditsNeeded: z.coerce.number(),
});

const reasonSchema = z.enum([...accountTroubles, 'operator']).nullable();

export interface SendingPauseOptions {
  redis: RedisClient;
  policy: Policy;
  operatorPauseKeys: readonly string[];
}

export function createSendingPause({ redis, policy, operatorPauseKeys }: SendingPauseOptions): SendingPause {
  const readReason = createPauseReader(redis, operatorPauseKeys);
  const report = loadScript(redis, plainSource('report-trouble', ['events'], policy));
  const resume = loadScript(redis, plainSource('resume', ['events'], policy));
  const scriptKeys = [keys.pause, keys.events('sending')];
  return {
    read: async () => {
      const fields = await redis.hgetall(keys.pause);
      return fields['trouble'] === undefined ? null : pauseSchema.parse(fields);
    },
    reason: async () => reasonSchema.parse(await readReason()),
    report: async ({ trouble, claimedAt, credits }) =>
      (await report(scriptKeys, [trouble, claimedAt, credits])) === 1,
    resume: async () => (await resume(scriptKeys, [])) === 1,
  };
}

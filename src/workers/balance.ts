import { setTimeout as sleep } from 'node:timers/promises';
import { UnrecoverableError } from 'bullmq';
import type { Logger } from '../lib/logger.js';
import { shared } from '../lib/memoize.js';
import { alarmMessage } from '../otp/balance.js';
import type { SendOutcome } from '../otp/outcome.js';
import type { Provider } from '../otp/provider.js';
import type { BalanceResult } from '../queues/queues.js';
import type { BalanceStore } from '../store/balance.js';

/** The processor of `balance`: records one snapshot. A balance that cannot be read fails the job; it is never zero. */
export function createBalanceProcessor(options: {
  provider: Pick<Provider, 'balance'>;
  balance: Pick<BalanceStore, 'record'>;
  logger: Logger;
}) {
  const { provider, balance, logger } = options;
  return async (): Promise<BalanceResult> => {
    const outcome = await provider.balance();
    if (outcome.kind !== 'known') {
      const reason = outcome.kind === 'account_trouble' ? outcome.trouble : outcome.reason;
      logger.warn({ event: 'balance.unreadable', reason }, 'the balance could not be read');
      throw new UnrecoverableError(`the balance could not be read: ${reason}`);
    }
    const { credits, expiresOn } = outcome;
    const { switched } = await balance.record({ credits, expiresOn });
    for (const { alarm, on } of switched) {
      const fields = { event: `balance.${alarm}`, on, credits, expiresOn };
      if (on) logger.warn(fields, alarmMessage(alarm, on));
      else logger.info(fields, alarmMessage(alarm, on));
    }
    return { credits, expiresOn };
  };
}

/** Age at which a low balance no longer delays OTPs: the account may have been topped up. */
const knownForMs = 30_000;
const askAfterMs = 10_000;
/** The price of the shortest message: with less, the account is in trouble. */
export const leastCredits = 1;

/** The account's credits, as this process knows them. */
export type Credits = ReturnType<typeof createCredits>;

const accountTrouble: SendOutcome = { kind: 'account_trouble', trouble: 'insufficient_credits' };

export function createCredits(provider: Pick<Provider, 'balance'>, now: () => number) {
  let known = { credits: Number.POSITIVE_INFINITY, at: Number.NEGATIVE_INFINITY };
  /** Makes a balance call; simultaneous calls share one. */
  const balance = shared(async () => {
    const outcome = await provider.balance();
    if (outcome.kind === 'known') known = { credits: outcome.credits, at: now() };
    return outcome;
  });
  return {
    balance,
    /** False if the balance was below this price within the last half minute. Reads it again in the background. */
    cover: (price: number) => {
      // An OTP of one credit is sent: if that is refused, the account is in trouble.
      if (price <= leastCredits || known.credits >= price) return true;
      const age = now() - known.at;
      if (age >= askAfterMs) balance().catch(() => {});
      return age >= knownForMs;
    },
    /**
     * The outcome of a send that iSMS refused for lack of credits, by the balance now. Account trouble if the balance is
     * below one credit or not known within `withinMs`; unsent if it is below this OTP's price; else unrecognised.
     */
    judgeRefusal: async (price: number, withinMs: number): Promise<SendOutcome> => {
      const late = sleep(Math.max(0, withinMs), null, { ref: false });
      const outcome = await Promise.race([balance(), late]);
      if (outcome?.kind !== 'known' || outcome.credits < leastCredits) return accountTrouble;
      if (outcome.credits < price) return { kind: 'unsent', reason: 'insufficient_credits' };
      return { kind: 'unrecognised', failure: 'insufficient_credits', text: 'Insufficient credits' };
    },
  };
}

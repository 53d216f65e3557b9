import { setTimeout as sleep } from 'node:timers/promises';
import type { BalanceOutcome, SendOutcome } from '../otp/outcome.js';
import type { Provider } from '../otp/provider.js';

/** A balance that is older may have been topped up; it is asked for again before. */
const knownForMs = 30_000;
const askAfterMs = 10_000;
/** Least balance that is no trouble of the account: the price of the shortest message. */
export const leastCredits = 1;

/** What this process knows of the account's credits. */
export interface Credits {
  /** Asks for the balance. */
  balance(): Promise<BalanceOutcome>;
  /**
   * False when the balance was too low for an OTP of this price half a minute ago, or later; asks for it again before
   * that, and does not wait for the answer.
   */
  cover(price: number): boolean;
  /**
   * What a refusal for lack of credits means, by the balance as it is now. The account is in trouble where it could not
   * pay one credit, or does not tell within `withinMs`. Else the refusal is about this OTP: it waits for a top-up where
   * the balance is below its price, and is refused in unknown words where it is not.
   */
  judgeRefusal(price: number, withinMs: number): Promise<SendOutcome>;
}

const accountTrouble: SendOutcome = { kind: 'blocked', trouble: 'insufficient_credits' };

/** Calls that ask at the same time share one balance call. */
export function createCredits(provider: Pick<Provider, 'balance'>, now: () => number): Credits {
  let known = { credits: Number.POSITIVE_INFINITY, at: Number.NEGATIVE_INFINITY };
  let asking: Promise<BalanceOutcome> | null = null;
  const ask = async () => {
    const outcome = await provider.balance();
    if (outcome.kind === 'known') known = { credits: outcome.credits, at: now() };
    return outcome;
  };
  const balance = () => {
    asking ??= ask().finally(() => {
      asking = null;
    });
    return asking;
  };
  return {
    balance,
    cover: (price) => {
      // What one credit pays is sent or refused: then it is trouble of the account.
      if (price <= leastCredits || known.credits >= price) return true;
      const age = now() - known.at;
      if (age >= askAfterMs) balance().catch(() => {});
      return age >= knownForMs;
    },
    judgeRefusal: async (price, withinMs) => {
      const late = sleep(Math.max(0, withinMs), null, { ref: false });
      const outcome = await Promise.race([balance(), late]);
      if (outcome?.kind !== 'known' || outcome.credits < leastCredits) return accountTrouble;
      if (outcome.credits < price) return { kind: 'deferred', reason: 'insufficient_credits' };
      return { kind: 'unrecognised', failure: 'insufficient_credits', text: 'Insufficient credits' };
    },
  };
}

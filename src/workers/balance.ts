import { UnrecoverableError } from 'bullmq';
import type { Logger } from '../lib/logger.js';
import { alarmMessage } from '../otp/balance.js';
import type { Provider } from '../otp/provider.js';
import type { BalanceResult } from '../queues/balance.js';
import type { BalanceStore } from '../store/balance.js';

export interface BalanceDependencies {
  provider: Pick<Provider, 'balance'>;
  balance: Pick<BalanceStore, 'record'>;
  logger: Logger;
}

/** The processor of `balance`: one snapshot. A balance that cannot be read fails the job; it is never zero. */
export function createBalanceProcessor({ provider, balance, logger }: BalanceDependencies) {
  return async (): Promise<BalanceResult> => {
    const outcome = await provider.balance();
    if (outcome.kind !== 'known') {
      const reason = outcome.kind === 'blocked' ? outcome.trouble : outcome.reason;
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

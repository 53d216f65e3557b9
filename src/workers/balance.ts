import { UnrecoverableError } from 'bullmq';
import { alarmMessage, balanceAlarms } from '../otp/balance.js';
import type { Provider } from '../otp/provider.js';
import type { BalanceResult } from '../queues/balance.js';
import type { BalanceStore } from '../store/balance.js';
import type { Logger } from './logger.js';

export interface BalanceDependencies {
  provider: Provider;
  balance: BalanceStore;
  lowCredits: number;
  expiryWarnDays: number;
  logger: Logger;
}

/** The processor of `balance`: one snapshot. A balance that cannot be read fails the job; it is never zero. */
export function createBalanceProcessor(dependencies: BalanceDependencies) {
  const { provider, balance, lowCredits, expiryWarnDays, logger } = dependencies;
  return async (): Promise<BalanceResult> => {
    const outcome = await provider.balance();
    if (outcome.kind !== 'known') {
      const reason = outcome.kind === 'blocked' ? outcome.trouble : outcome.reason;
      logger.warn({ event: 'balance.unreadable', reason }, 'the balance could not be read');
      throw new UnrecoverableError(`the balance could not be read: ${reason}`);
    }
    const { credits, expiresOn } = outcome;
    const alarms = balanceAlarms(outcome, { lowCredits, warnDays: expiryWarnDays, now: Date.now() });
    const { switched } = await balance.record({ credits, expiresOn }, alarms);
    for (const alarm of switched) announce(logger, { alarm, on: alarms[alarm], credits, expiresOn });
    return { credits, expiresOn };
  };
}

function announce(
  logger: Logger,
  { alarm, on, ...balance }: { alarm: 'low' | 'expiring'; on: boolean } & BalanceResult,
): void {
  const fields = { event: `balance.${alarm}`, on, ...balance };
  const message = alarmMessage(alarm, on);
  if (on) logger.warn(fields, message);
  else logger.info(fields, message);
}

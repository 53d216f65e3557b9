import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../lib/logger.js';
import { alarmMessage } from '../../otp/balance.js';
import type { Provider } from '../../otp/provider.js';
import type { BalanceSnapshot } from '../../store/balance.js';
import type { Store } from '../../store/store.js';
import { ApiProblem } from '../http/problem.js';

export interface BalanceRefreshDependencies {
  store: Pick<Store, 'balance' | 'holdLease'>;
  provider: Pick<Provider, 'balance'>;
  logger: Logger;
}

/** iSMS is asked at most once in this time, by all processes together. */
const periodMs = 10_000;
/** How long others wait for the snapshot of the process that is asking. */
const waitMs = 3_000;
const lookEveryMs = 250;

/**
 * Reads the balance from iSMS and records it; one call for all who ask at once. Whoever comes within 10 s of
 * another's call gets that call's snapshot, or the latest there is. Throws `balance_unavailable` when iSMS was
 * asked and did not tell.
 */
export function createBalanceRefresh(dependencies: BalanceRefreshDependencies) {
  const { store } = dependencies;
  let running: Promise<BalanceSnapshot | null> | null = null;
  const refresh = async () => {
    const mine = await store.holdLease('balance', periodMs);
    return mine ? await ask(dependencies) : await waitForOther(store.balance);
  };
  return async (): Promise<BalanceSnapshot | null> => {
    running ??= refresh().finally(() => {
      running = null;
    });
    return await running;
  };
}

async function ask({ store, provider, logger }: BalanceRefreshDependencies) {
  const outcome = await provider.balance();
  if (outcome.kind !== 'known') {
    const reason = outcome.kind === 'blocked' ? outcome.trouble : outcome.reason;
    throw new ApiProblem('balance_unavailable', { reason });
  }
  const { credits, expiresOn } = outcome;
  const { snapshot, switched } = await store.balance.record({ credits, expiresOn });
  for (const { alarm, on } of switched) {
    const fields = { event: `balance.${alarm}`, on, credits, expiresOn };
    if (on) logger.warn(fields, alarmMessage(alarm, on));
    else logger.info(fields, alarmMessage(alarm, on));
  }
  return snapshot;
}

/** The snapshot of whoever holds the lease, once it is there; clocks that differ only make this wait longer. */
async function waitForOther(balance: Store['balance']): Promise<BalanceSnapshot | null> {
  const until = performance.now() + waitMs;
  for (;;) {
    const latest = await balance.latest();
    const fresh = latest !== null && Date.now() - latest.at < periodMs;
    if (fresh || performance.now() >= until) return latest;
    await sleep(lookEveryMs);
  }
}

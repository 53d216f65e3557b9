import type { CircuitBreaker, Permit } from './circuit-breaker.js';
import { type HealthSignal, sendHealthSignal, verifyHealthSignal } from './health-signal.js';
import type { SendOutcome } from './outcome.js';
import type { Provider } from './provider.js';
import type { RetryBudget } from './retry-budget.js';

/** What stands between a process and its provider. */
export interface ResilientProviderOptions {
  provider: Provider;
  /** One for each kind of call: sends that hang say nothing about verifications. */
  circuits: { sends: CircuitBreaker; verifications: CircuitBreaker };
  retryBudget: RetryBudget;
}

/**
 * The provider behind circuit breakers and a retry budget. A call that they refuse is not made and comes back at
 * once as unsent. The balance call is let through always: it asks whether trouble is over.
 */
export function createResilientProvider({
  provider,
  circuits,
  retryBudget,
}: ResilientProviderOptions): Provider {
  return {
    send: async (call, window) => {
      const permit = circuits.sends.enter();
      if (!permit) return { kind: 'deferred', reason: 'circuit_open' };
      const may = payFor(call.attempt, permit, retryBudget);
      return await judged(permit, may ? provider.send(call, window) : beyondBudget, sendHealthSignal);
    },
    verify: async (call) => {
      const permit = circuits.verifications.enter();
      if (!permit) return { kind: 'unsent', reason: 'circuit_open' };
      return await judged(permit, provider.verify(call), verifyHealthSignal);
    },
    balance: () => provider.balance(),
    close: () => provider.close(),
  };
}

const beyondBudget = Promise.resolve<SendOutcome>({ kind: 'deferred', reason: 'retry_budget' });

/** A probe costs nothing: the circuit spaces them already, and recovery must not wait for a token. */
function payFor(attempt: number, { probe }: Permit, retryBudget: RetryBudget): boolean {
  if (attempt > 1) return probe || retryBudget.spend();
  retryBudget.earn();
  return true;
}

/** A call that throws all the same is a bug of ours and says nothing about the provider. */
async function judged<T>(
  permit: Permit,
  calling: Promise<T>,
  signalOf: (outcome: T) => HealthSignal,
): Promise<T> {
  let signal: HealthSignal = 'ignored';
  try {
    const outcome = await calling;
    signal = signalOf(outcome);
    return outcome;
  } finally {
    permit.settle(signal);
  }
}

import type { Logger } from '../lib/logger.js';
import {
  type CircuitBreaker,
  type CircuitState,
  type Clock,
  createCircuitBreaker,
} from '../otp/circuit-breaker.js';
import type { Provider } from '../otp/provider.js';
import { createResilientProvider } from '../otp/resilient-provider.js';
import { createRetryBudget } from '../otp/retry-budget.js';

/** A timer that is left over does not keep the process alive. */
const monotonicClock: Clock = {
  now: () => performance.now(),
  later: (ms, work) => void setTimeout(work, ms).unref(),
};

/** A provider behind its circuits. */
export interface ResilientProvider {
  provider: Provider;
  /** The circuit of the provider's sends. */
  sendCircuit: CircuitBreaker;
}

export interface ResilienceOptions {
  logger: Pick<Logger, 'info' | 'warn'>;
  /** Told the state of each circuit, by `sends` or `verifications`, and each change of it. */
  onCircuit?: (circuit: string, state: CircuitState) => void;
}

/** Puts circuits and a retry budget of this process in front of a provider, and logs what the circuits do. */
export function resilientProvider(
  provider: Provider,
  { logger, onCircuit = () => {} }: ResilienceOptions,
  clock: Clock = monotonicClock,
): ResilientProvider {
  const circuits = { sends: createCircuitBreaker(clock), verifications: createCircuitBreaker(clock) };
  for (const [name, circuit] of Object.entries(circuits)) {
    onCircuit(name, circuit.state);
    circuit.onChange((state) => {
      logChange(logger, name, state);
      onCircuit(name, state);
    });
  }
  const retryBudget = createRetryBudget(clock.now);
  return {
    provider: createResilientProvider({ provider, circuits, retryBudget }),
    sendCircuit: circuits.sends,
  };
}

const changes = {
  open: { event: 'circuit.opened', message: 'iSMS is ill: no calls of this kind for a while' },
  half_open: { event: 'circuit.half_open', message: 'one call finds out whether iSMS is well again' },
  closed: { event: 'circuit.closed', message: 'iSMS is well again' },
} as const satisfies Record<CircuitState, object>;

function logChange(logger: Pick<Logger, 'info' | 'warn'>, circuit: string, state: CircuitState): void {
  const { event, message } = changes[state];
  if (state === 'open') logger.warn({ event, circuit }, message);
  else logger.info({ event, circuit }, message);
}

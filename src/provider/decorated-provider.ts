import { randomUUID, timingSafeEqual } from 'node:crypto';
import { context, createContextKey, SpanKind, trace } from '@opentelemetry/api';
import type { Logger } from '../lib/logger.js';
import { createSlidingSum } from '../lib/sliding-sum.js';
import { type Apps, testCodeOf } from '../otp/app.js';
import { type HealthSignal, type SendOutcome, sendHealthSignal, verifyHealthSignal } from '../otp/outcome.js';
import type { Provider } from '../otp/provider.js';
import {
  type CircuitBreaker,
  type CircuitPermit,
  type CircuitState,
  type Clock,
  createCircuitBreaker,
} from './circuit-breaker.js';

/** Its timers do not keep the process alive. */
export const monotonicClock: Clock = {
  now: () => performance.now(),
  later: (ms, work) => void setTimeout(work, ms).unref(),
};

interface ResilienceOptions {
  logger: Pick<Logger, 'info' | 'warn'>;
  /** Called with the state of each circuit (`sends`, `verifications`) at first, and on each change. */
  onCircuit?: (circuit: string, state: CircuitState) => void;
  clock?: Clock;
}

/**
 * Puts circuit breakers and a retry budget in front of a provider. A call that they refuse is not made and returns as
 * unsent. Sends and verifications have a circuit each, since sends that hang say nothing about verifications. The
 * balance call is always made: it tells whether trouble is over.
 */
export function resilientProvider(
  provider: Provider,
  { logger, onCircuit = () => {}, clock = monotonicClock }: ResilienceOptions,
): { provider: Provider; sendCircuit: CircuitBreaker } {
  const circuits = { sends: createCircuitBreaker(clock), verifications: createCircuitBreaker(clock) };
  for (const [name, circuit] of Object.entries(circuits)) {
    onCircuit(name, circuit.state);
    circuit.onChange((state) => {
      const { event, message } = changes[state];
      logger[state === 'open' ? 'warn' : 'info']({ event, circuit: name }, message);
      onCircuit(name, state);
    });
  }
  const retryBudget = createRetryBudget(clock.now);
  const resilient: Provider = {
    ...provider,
    send: async (call, window) => {
      const permit = circuits.sends.enter();
      if (!permit) return { kind: 'unsent', reason: 'circuit_open' };
      const isRetry = call.callNumber > 1;
      if (!isRetry) retryBudget.earn();
      // A probe is free: the circuit spaces probes already, and recovery must not wait for a token.
      const isAllowed = !isRetry || permit.probe || retryBudget.spend();
      return await settled(permit, isAllowed ? provider.send(call, window) : beyondBudget, sendHealthSignal);
    },
    verify: async (call) => {
      const permit = circuits.verifications.enter();
      if (!permit) return { kind: 'unsent', reason: 'circuit_open' };
      return await settled(permit, provider.verify(call), verifyHealthSignal);
    },
  };
  return { provider: resilient, sendCircuit: circuits.sends };
}

const beyondBudget = Promise.resolve<SendOutcome>({ kind: 'unsent', reason: 'retry_budget' });

/** A call that throws is a bug of the gateway and says nothing about the provider. */
async function settled<T>(
  permit: CircuitPermit,
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

const changes = {
  open: { event: 'circuit.opened', message: 'iSMS is failing: calls of this kind stop for a while' },
  half_open: { event: 'circuit.half_open', message: 'one call probes whether iSMS works again' },
  closed: { event: 'circuit.closed', message: 'iSMS works again' },
} as const satisfies Record<CircuitState, object>;

const budgetWindowMs = 10_000;
/** First calls that earn one extra call. */
const callsPerExtra = 10;
/** Extra calls in a window that need not be earned: one a second. */
const unearnedExtras = budgetWindowMs / 1_000;

/**
 * A token bucket whose tokens expire after 10 s: extra calls are at most a tenth of the first calls of the last 10 s,
 * plus ten. A quiet hour saves up nothing. After Finagle's RetryBudget:
 * https://finagle.github.io/blog/2016/02/08/retry-budgets
 */
export function createRetryBudget(now: () => number) {
  const firsts = createSlidingSum(budgetWindowMs, now);
  const extras = createSlidingSum(budgetWindowMs, now);
  return {
    /** Counts a first call, which earns a tenth of a token. */
    earn: () => firsts.add(1),
    /** Takes a token for a retry or a resend; false when there is none. */
    spend: () => {
      if (extras.total + 1 > firsts.total / callsPerExtra + unearnedExtras) return false;
      extras.add(1);
      return true;
    },
  };
}

interface DecorationOptions extends ResilienceOptions {
  apps: Apps;
  /** Called after each call that was made. */
  onCall: (call: string, outcome: string, seconds: number) => void;
}

/**
 * The iSMS client as API and workers use it. From the inside out: every call that is made is timed and traced; circuit
 * breakers and a retry budget decide whether it is made; test numbers need none.
 */
export function decoratedProvider(
  isms: Provider,
  { apps, onCall, ...resilience }: DecorationOptions,
): { provider: Provider; sendCircuit: CircuitBreaker } {
  const { provider, sendCircuit } = resilientProvider(instrumentedProvider(isms, onCall), resilience);
  return { provider: withTestNumbers(provider, apps), sendCircuit };
}

/** The key of `suppressTracing` in @opentelemetry/core, which would load 900 kB of source for it. */
const suppressTracing = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

/** The client itself is not traced: its URL holds the password, the number and the code. */
function instrumentedProvider(provider: Provider, onCall: DecorationOptions['onCall']): Provider {
  const tracer = trace.getTracer('isms-otp-gateway');
  const observed = async <T extends { kind: string }>(call: string, make: () => Promise<T>): Promise<T> =>
    await tracer.startActiveSpan(`isms ${call}`, { kind: SpanKind.CLIENT }, async (span) => {
      const began = performance.now();
      try {
        const outcome = await context.with(context.active().setValue(suppressTracing, true), make);
        onCall(call, outcome.kind, (performance.now() - began) / 1_000);
        span.setAttributes({ 'isms.call': call, 'isms.outcome': outcome.kind });
        return outcome;
      } finally {
        span.end();
      }
    });
  return {
    send: (call, window) => observed('send', () => provider.send(call, window)),
    verify: (call) => observed('verify', () => provider.verify(call)),
    balance: () => observed('balance', () => provider.balance()),
    close: () => provider.close(),
  };
}

/**
 * Sends nothing for OTPs to test numbers, and accepts the code that the operator fixed. `isTest` is decided at admission
 * and stored with the OTP, so that processes that read APPS_FILE at different moments agree about it.
 */
export function withTestNumbers(provider: Provider, apps: Apps): Provider {
  return {
    ...provider,
    send: async (call, window) => {
      if (!call.isTest) return await provider.send(call, window);
      return { kind: 'accepted', uuid: `test-${randomUUID()}`, smsId: '0' };
    },
    verify: async (call) => {
      if (!call.isTest) return await provider.verify(call);
      const code = testCodeOf(apps.of(call.app), call.to);
      return { kind: code !== null && isSame(code, call.code) ? 'correct' : 'incorrect' };
    },
  };
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

import { randomUUID, timingSafeEqual } from 'node:crypto';
import { context, SpanKind, trace } from '@opentelemetry/api';
import { suppressTracing } from '@opentelemetry/core';
import { type Apps, testCodeOf } from '../otp/app.js';
import type { Provider } from '../otp/provider.js';
import type { CircuitBreaker } from './circuit-breaker.js';
import { type ResilienceOptions, resilientProvider } from './resilient-provider.js';

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

/** The client itself is not traced: its URL holds the password, the number and the code. */
function instrumentedProvider(provider: Provider, onCall: DecorationOptions['onCall']): Provider {
  const tracer = trace.getTracer('isms-otp-gateway');
  const observed = async <T extends { kind: string }>(call: string, make: () => Promise<T>): Promise<T> =>
    await tracer.startActiveSpan(`isms ${call}`, { kind: SpanKind.CLIENT }, async (span) => {
      const began = performance.now();
      try {
        const outcome = await context.with(suppressTracing(context.active()), make);
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

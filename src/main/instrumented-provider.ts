import { context, SpanKind, trace } from '@opentelemetry/api';
import { suppressTracing } from '@opentelemetry/core';
import type { Provider } from '../otp/provider.js';
import type { Metrics } from '../telemetry/metrics.js';

/**
 * The provider, with each call that is really made timed, and traced by what became of it. Its own client is not traced:
 * its URL holds the password, the number and the code.
 */
export function instrumentedProvider(provider: Provider, metrics: Pick<Metrics, 'call'>): Provider {
  const tracer = trace.getTracer('isms-otp-gateway');
  const observed = async <T extends { kind: string }>(call: string, make: () => Promise<T>): Promise<T> =>
    await tracer.startActiveSpan(`isms ${call}`, { kind: SpanKind.CLIENT }, async (span) => {
      const began = performance.now();
      try {
        const outcome = await context.with(suppressTracing(context.active()), make);
        metrics.call(call, outcome.kind, (performance.now() - began) / 1_000);
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

import { context, propagation } from '@opentelemetry/api';

/** The trace that is going on here, as a job carries it to its worker (W3C trace context); nothing while none is. */
export function traceMetadata(): string | undefined {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier['traceparent'] === undefined ? undefined : JSON.stringify(carrier);
}

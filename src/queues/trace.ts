import { context, propagation } from '@opentelemetry/api';

/** The trace that is going on here, as a job carries it to its worker (W3C trace context); nothing while none is. */
export function traceMetadata(): string | undefined {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  const { traceparent } = carrier;
  // What callers put into `tracestate` may be anything, and jobs are shown to people.
  return traceparent === undefined ? undefined : JSON.stringify({ traceparent });
}

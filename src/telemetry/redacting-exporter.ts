import type { Attributes } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { maskText } from './mask.js';

/** Attributes that tell nothing of a person: no paths, queries, addresses or headers, whatever a library records. */
const harmless =
  /^(http\.(request\.method|route|response\.status_code)|url\.scheme|error\.type|server\.(address|port)|network\.protocol\.version|express\.(name|type)|bullmq\.[\w.]+|isms\.\w+)$/;

/** Sends spans on without anything that must not be seen: what is not known to be harmless stays here. */
export function redactingExporter(exporter: SpanExporter): SpanExporter {
  return {
    export: (spans, done) => exporter.export(spans.map(discreet), done),
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush && { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() }),
  };
}

function discreet(span: ReadableSpan): ReadableSpan {
  const { message, ...status } = span.status;
  return Object.create(span, {
    name: { value: maskText(span.name) },
    attributes: { value: withoutPersons(span.attributes) },
    status: { value: message === undefined ? status : { ...status, message: maskText(message) } },
    // Errors: their messages and stacks are in the log, masked there.
    events: { value: [] },
  }) as ReadableSpan;
}

function withoutPersons(attributes: Attributes): Attributes {
  const kept = Object.entries(attributes).filter(([name]) => harmless.test(name));
  return Object.fromEntries(
    kept.map(([name, value]) => [name, typeof value === 'string' ? maskText(value) : value]),
  );
}

import { register } from 'node:module';
import { type Attributes, context, propagation, SpanKind, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import {
  detectResources,
  envDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  SamplingDecision,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { withTimeout } from '../lib/with-timeout.js';
import { dropForeignTrace } from './caller-trace.js';
import { maskText } from './redact.js';

/** OpenTelemetry's default is 5 s; only its own SDK reads the variable for it. */
const exportEveryMs = 1_000;
const lastExportMs = 3_000;

/** Requests of orchestrators and scrapers are not traced. */
const untraced = /^\/(livez|readyz|metrics)(\?|$)/;

/**
 * Traces requests to the API, jobs and calls by undici. Modules that are traced must be imported afterwards; the provider's
 * client runs with tracing suppressed. `endpoint` is the base URL of an OTLP/HTTP collector; `ratio` (0 to 1) is the share
 * of traces that are kept, unless the trace context of a caller with a key decides. `close` exports the remaining spans.
 */
export function startTracing(options: { endpoint: string; ratio: number; role: string; version: string }) {
  const { endpoint, ratio, role, version } = options;
  register('@opentelemetry/instrumentation/hook.mjs', import.meta.url);
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` });
  const provider = new TracerProvider({
    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
    resource: resourceFromAttributes({
      'service.name': `isms-otp-${role}`,
      'service.version': version,
    }).merge(detectResources({ detectors: [serviceInstanceIdDetector, envDetector] })),
    sampler: new ParentBasedSampler({ root: rootSampler(ratio) }),
    spanProcessors: [
      new BatchSpanProcessor({ exporter: redactingExporter(exporter), scheduledDelayMillis: exportEveryMs }),
    ],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  registerInstrumentations({
    instrumentations: [
      new HttpInstrumentation({
        disableOutgoingRequestInstrumentation: true,
        // Runs before the headers are read for a trace context.
        ignoreIncomingRequestHook: ({ url, headers }) => {
          dropForeignTrace(headers);
          return untraced.test(url ?? '');
        },
      }),
      new UndiciInstrumentation({ requireParentforSpans: true }),
    ],
  });
  return {
    // A collector that does not answer must not delay the exit.
    close: async () => {
      await withTimeout(provider.shutdown(), lastExportMs).catch(() => {});
    },
  };
}

/** BullMQ's internal spans, such as fetching the next job, begin no trace. */
function rootSampler(ratio: number): Sampler {
  const sampler = new TraceIdRatioBasedSampler(ratio);
  return {
    shouldSample: (parent, traceId, _name, kind) =>
      kind === SpanKind.INTERNAL
        ? { decision: SamplingDecision.NOT_RECORD }
        : sampler.shouldSample(parent, traceId),
    toString: () => `NotInternal{${sampler}}`,
  };
}

/** The only attributes that are exported: no paths, queries, addresses or headers (ADR 25). */
const allowedAttributes =
  /^(http\.(request\.method|route|response\.status_code)|url\.scheme|error\.type|server\.(address|port)|network\.protocol\.version|bullmq\.[\w.]+|isms\.\w+)$/;

/** Sends spans on without anything that must not be seen: what is not known to be allowedAttributes stays here. */
function redactingExporter(exporter: SpanExporter): SpanExporter {
  return {
    export: (spans, done) => exporter.export(spans.map(redacted), done),
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush && { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() }),
  };
}

function redacted(span: ReadableSpan): ReadableSpan {
  const { message, ...status } = span.status;
  return Object.create(span, {
    name: { value: maskText(span.name) },
    attributes: { value: allowed(span.attributes) },
    status: { value: message === undefined ? status : { ...status, message: maskText(message) } },
    // Errors: the log has their messages and stacks, masked.
    events: { value: [] },
  }) as ReadableSpan;
}

function allowed(attributes: Attributes): Attributes {
  const kept = Object.entries(attributes).filter(([name]) => allowedAttributes.test(name));
  return Object.fromEntries(
    kept.map(([name, value]) => [name, typeof value === 'string' ? maskText(value) : value]),
  );
}

import { register } from 'node:module';
import { context, propagation, SpanKind, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { ExpressInstrumentation, ExpressLayerType } from '@opentelemetry/instrumentation-express';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { withTimeout } from '../lib/with-timeout.js';
import { dropForeignTrace } from './caller-trace.js';
import { redactingExporter } from './redacting-exporter.js';

export interface TracingOptions {
  /** Base URL of an OTLP/HTTP collector. */
  endpoint: string;
  /** The share of traces that are kept, 0 to 1; what the trace context of a caller with a key says goes before. */
  ratio: number;
  /** What this process is: `api`, `worker`, … */
  role: string;
  version: string;
}

export interface Tracing {
  /** Sends what is left to the collector. */
  close(): Promise<void>;
}

/** OpenTelemetry waits 5 s, and its environment variable for that is read by its own SDK alone. */
const exportEveryMs = 1_000;
const lastExportMs = 3_000;

/** What orchestrators and scrapers ask is nobody's request. */
const unasked = /^\/(livez|readyz|metrics)(\?|$)/;

/**
 * Traces this process from now on: requests to the API, jobs, calls by undici. What is to be traced must be imported
 * after this, and whatever must not be runs where tracing is suppressed, as the provider's client does.
 */
export function startTracing({ endpoint, ratio, role, version }: TracingOptions): Tracing {
  register('@opentelemetry/instrumentation/hook.mjs', import.meta.url);
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': `isms-otp-${role}`,
      'service.version': version,
    }),
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
        // The first that is done with a request: its headers are read for a trace context after this.
        ignoreIncomingRequestHook: ({ url, headers }) => {
          dropForeignTrace(headers);
          return unasked.test(url ?? '');
        },
      }),
      new ExpressInstrumentation({ ignoreLayersType: [ExpressLayerType.MIDDLEWARE] }),
      new UndiciInstrumentation({ requireParentforSpans: true }),
    ],
  });
  return {
    // A collector that does not answer holds no process up.
    close: async () => {
      await withTimeout(provider.shutdown(), lastExportMs).catch(() => {});
    },
  };
}

/** What BullMQ does inside for nobody's request, such as asking for the next job, makes no trace of its own. */
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

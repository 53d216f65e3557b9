import { hostname } from 'node:os';
import { trace } from '@opentelemetry/api';
import { type DestinationStream, type LevelWithSilent, type Logger, pino, stdTimeFunctions } from 'pino';
import { redact, serializeError } from './redact.js';

/**
 * A logger of JSON lines with UTC times in milliseconds, to standard output by default. `role` is `api`, `worker`, ….
 * Callers log no secrets, codes or whole phone numbers; lines of libraries and slips are masked as they are written.
 */
export function createLogger({
  level,
  role,
  destination,
}: {
  level: LevelWithSilent;
  role: string;
  destination?: DestinationStream;
}): Logger {
  return pino(
    {
      level,
      base: { role, pid: process.pid, hostname: hostname() },
      timestamp: stdTimeFunctions.isoTime,
      serializers: { err: serializeError, error: serializeError },
      mixin: traceOf,
      formatters: { level: (label) => ({ level: label }), log: serializeErrors },
      hooks: { streamWrite: redactLine },
    },
    destination ?? pino.destination(1),
  );
}

function serializeErrors(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, serializeError(value)]));
}

function redactLine(line: string): string {
  try {
    return `${JSON.stringify(redact(JSON.parse(line)))}\n`;
  } catch {
    return `${JSON.stringify({ level: 'error', msg: 'A log line was withheld: it could not be redacted' })}\n`;
  }
}

/** The id of the active trace. */
function traceOf(): object {
  const span = trace.getActiveSpan()?.spanContext();
  return span ? { traceId: span.traceId } : {};
}

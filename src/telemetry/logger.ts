import { hostname } from 'node:os';
import { trace } from '@opentelemetry/api';
import { type DestinationStream, type LevelWithSilent, type Logger, pino, stdTimeFunctions } from 'pino';
import { redact } from './redact.js';
import { serializeError } from './serialize-error.js';

export interface LoggerOptions {
  level: LevelWithSilent;
  /** What this process is: `api`, `worker`, … */
  role: string;
  /** Where the lines go; standard output when it is left out. */
  destination?: DestinationStream;
}

/**
 * A logger of JSON lines with UTC times in milliseconds. Callers log no secrets, codes or whole phone numbers;
 * whatever they, their libraries or their children log all the same is masked as the line leaves.
 */
export function createLogger({ level, role, destination }: LoggerOptions): Logger {
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

/** Joins a line to its trace, where there is one. */
function traceOf(): object {
  const span = trace.getActiveSpan()?.spanContext();
  return span ? { traceId: span.traceId } : {};
}

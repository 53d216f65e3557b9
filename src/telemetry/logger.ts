import { hostname } from 'node:os';
import { format } from 'node:util';
import { trace } from '@opentelemetry/api';
import { type DestinationStream, type LevelWithSilent, type Logger, pino, stdTimeFunctions } from 'pino';
import { maskText, redactFields } from './redact.js';

/**
 * A logger of JSON lines with UTC times in milliseconds, to standard output by default. `role` is `api`, `worker`, ….
 * Callers log no secrets, codes or whole phone numbers; fields and texts are masked all the same, in case one slips in.
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
  const logger = pino(
    {
      level,
      // The formatters below do it.
      serializers: { err: (error: unknown) => error },
      base: { role, pid: process.pid, hostname: hostname() },
      timestamp: stdTimeFunctions.isoTime,
      mixin: traceOf,
      formatters: { level: (label) => ({ level: label }), bindings: redactFields, log: redactFields },
      hooks: {
        logMethod(args, method) {
          const [fields, message] = maskedArguments(args);
          method.call(this, fields, message);
        },
      },
    },
    destination ?? pino.destination(1),
  );
  const { child } = logger;
  // pino applies the formatter of bindings to those of its root alone.
  logger.child = function (this: Logger, ...[bindings, options]: Parameters<typeof child>) {
    return child.call(this, redactFields(bindings), options);
  } as typeof child;
  return logger;
}

/** Fields and masked text of a call, which may have either alone, and texts with places such as `%s`. */
function maskedArguments(args: readonly unknown[]): [object, string | undefined] {
  const [first, ...rest] = args;
  const fields = typeof first === 'object' && first !== null ? first : {};
  const texts = fields === first ? rest : args;
  const error = fields instanceof Error ? fields : Reflect.get(fields, 'err');
  const text = texts.length > 0 ? format(...texts) : error instanceof Error ? error.message : undefined;
  return [
    fields instanceof Error ? { err: fields } : fields,
    text === undefined ? undefined : maskText(text),
  ];
}

/** The id of the active trace. */
function traceOf(): object {
  const span = trace.getActiveSpan()?.spanContext();
  return span ? { traceId: span.traceId } : {};
}

/** Where a part of the gateway logs; pino's loggers fit. `fields` hold `event`, a stable name. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A logger, such as pino's. `fields` hold `event`, a stable name. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

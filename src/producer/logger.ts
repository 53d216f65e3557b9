/** What producers log through; pino fits. Fields never hold a whole phone number, a code, a key or a body. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

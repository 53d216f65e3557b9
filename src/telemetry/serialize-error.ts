export interface SerializedError {
  type: string;
  message: string;
  code?: string;
  stack?: string;
}

/**
 * The parts of an error that may be logged. Everything else stays out: causes, commands, requests and replies
 * hang there. What is not an error is given back as it is.
 */
export function serializeError(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const serialized: SerializedError = { type: value.name, message: value.message };
  if ('code' in value && typeof value.code === 'string') serialized.code = value.code;
  if (value.stack) serialized.stack = value.stack;
  return serialized;
}

import { networkError } from './errors.js';

/**
 * The lines of an answer as they come, without the empty ones. Holds one line and one part of the answer at most. Throws
 * an OtpError `network_error` when the answer breaks off.
 */
export async function* linesOf(
  body: ReadableStream<Uint8Array>,
  idempotencyKey: string,
): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let begun = '';
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw networkError(error, idempotencyKey);
      });
      const lines = (begun + decoder.decode(value, { stream: !done })).split('\n');
      begun = lines.pop() ?? '';
      yield* lines.filter((line) => line.trim() !== '');
      // A line without its end is none: the rest of it is missing.
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

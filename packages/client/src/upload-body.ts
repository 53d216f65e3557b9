import type { OtpInput } from './types.js';
import type { OtpInputs } from './upload-options.js';

/** Lines per chunk, if they do not have to be awaited. */
const linesAtATime = 200;

/** A request body of OTPs, one a line. */
interface UploadBody {
  stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Closes the inputs without waiting for a pending one. */
  close(): void;
}

/** Callbacks while the inputs are read. */
interface UploadListener {
  /** Some were read. */
  read(): void;
  /** Reading them failed. */
  failed(error: unknown): void;
}

/** Creates a request body that reads OTPs no faster than they are sent. */
export function uploadBody(
  inputs: OtpInputs,
  defaults: object | undefined,
  listener: UploadListener,
): UploadBody {
  const encoder = new TextEncoder();
  const chunks = Symbol.asyncIterator in inputs ? eachAlone(inputs) : together(inputs);
  const close = () => void chunks.return().catch(() => {});
  const next = async () => {
    const { done, value = [] } = await chunks.next();
    return done ? null : encoder.encode(value.map((input) => line(input, defaults)).join(''));
  };
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>) => {
    const bytes = await next().catch((error: unknown) => {
      listener.failed(error);
      throw error;
    });
    listener.read();
    if (bytes) controller.enqueue(bytes);
    else controller.close();
  };
  return { stream: new ReadableStream({ pull, cancel: close }, { highWaterMark: 0 }), close };
}

function line(input: OtpInput, defaults: object | undefined): string {
  return `${JSON.stringify({ ...defaults, ...input })}\n`;
}

/** An input that has to be awaited must not delay those before it. */
async function* eachAlone(inputs: AsyncIterable<OtpInput>): AsyncGenerator<OtpInput[], void, undefined> {
  for await (const input of inputs) yield [input];
}

async function* together(inputs: Iterable<OtpInput>): AsyncGenerator<OtpInput[], void, undefined> {
  let chunk: OtpInput[] = [];
  for (const input of inputs) {
    chunk.push(input);
    if (chunk.length < linesAtATime) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

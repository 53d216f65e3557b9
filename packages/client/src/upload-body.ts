import type { OtpInput } from './types.js';
import type { OtpInputs } from './upload-options.js';

/** What is there already goes out so many at a time. */
const linesAtATime = 200;

/** OTPs on their way up, one a line. */
export interface UploadBody {
  stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Lets go of the inputs. One that is being waited for is not waited for any longer. */
  close(): void;
}

/** What is told about the inputs while they go out. */
export interface UploadListener {
  /** Some were read. */
  read(): void;
  /** They cannot be read to their end. */
  failed(error: unknown): void;
}

/** A request body of these OTPs, which are read no faster than they go out. */
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

/** One that has to be waited for must not hold back those before it. */
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

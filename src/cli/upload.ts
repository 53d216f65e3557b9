import { type OtpClient, OtpError, type OtpInput, type UploadResult } from 'isms-otp-client';
import type { Call } from './command.js';
import { CommandError } from './command-error.js';
import { exitCodes } from './exit-codes.js';
import { failureOf } from './failure.js';
import { readInput } from './input.js';
import { createLineNumbers } from './line-numbers.js';
import { type ResultsSummary, type ResultsWriter, type UploadRecord, writeResults } from './results-file.js';
import { createProgressLine, uploadLine } from './upload-progress.js';

/** What to do when an upload has ended before its end. */
export const goOn = 'run the same command again to go on: each line counts once';

/** An upload to be made, or gone on with. */
export interface Upload {
  file: string;
  /** Path of the results file, which names it already. */
  results: string;
  upload: UploadRecord;
  resumed: boolean;
}

/** An upload whose lines were all answered. */
export interface Uploaded {
  summary: ResultsSummary;
  seconds: number;
}

/** Sends the lines of a file under the upload's key, and writes down what becomes of each. Holds a few lines at a time. */
export async function runUpload(
  client: OtpClient,
  upload: Upload,
  call: Pick<Call, 'io' | 'json'>,
): Promise<Uploaded> {
  const began = performance.now();
  const secondsSince = () => (performance.now() - began) / 1_000;
  const writer = await writeResults(upload.results, upload.upload, upload.resumed);
  const progress = createProgressLine(call);
  const seen = (counts: ResultsCounts) =>
    progress.show((live) =>
      uploadLine(counts, { lines: upload.upload.lines, seconds: secondsSince(), live }),
    );
  try {
    const summary = await sendLines(client, upload, { writer, seen, signal: call.io.signal });
    await writer.finish(summary);
    return { summary, seconds: secondsSince() };
  } catch (error) {
    await writer.abandon();
    throw withGoOn(error);
  } finally {
    progress.end();
  }
}

type ResultsCounts = Omit<ResultsSummary, 'batchId'>;

interface Listening {
  writer: ResultsWriter;
  seen(counts: ResultsCounts): void;
  signal: AbortSignal;
}

async function sendLines(
  client: OtpClient,
  { file, upload }: Upload,
  { writer, seen, signal }: Listening,
): Promise<ResultsSummary> {
  const numbers = createLineNumbers();
  const counts: ResultsCounts = { accepted: 0, rejected: 0, codes: {} };
  const inputs = function* (): Generator<OtpInput, void> {
    for (const { line, otp } of readInput(file)) {
      numbers.note(line);
      yield otp;
    }
  };
  // Not as a function: tried again by the client, a line that was refused would not be told of again.
  const { batchId } = await client.sendMany(inputs(), {
    idempotencyKey: upload.key,
    ...(upload.defaults && { defaults: upload.defaults }),
    signal,
    onResult: (result) => {
      count(result, counts);
      seen(counts);
      return writer.add({ line: numbers.lineOf(result.index), ...result });
    },
  });
  if (counts.accepted + counts.rejected !== upload.lines) throw incomplete(counts, upload);
  return { batchId, ...counts };
}

function count(result: UploadResult, counts: ResultsCounts): void {
  if ('id' in result) counts.accepted += 1;
  else {
    counts.rejected += 1;
    counts.codes[result.code] = (counts.codes[result.code] ?? 0) + 1;
  }
}

function incomplete({ accepted, rejected }: ResultsCounts, { lines }: UploadRecord): CommandError {
  const problem = `${accepted + rejected} of ${lines} lines were answered`;
  return new CommandError(
    'incomplete',
    problem,
    `see that nobody writes to the file; ${goOn}`,
    exitCodes.refused,
  );
}

/** What the gateway refuses as a whole is no upload to go on with; what breaks off is. */
function withGoOn(error: unknown): unknown {
  if (!(error instanceof OtpError)) return error;
  const { code, message, exitCode } = failureOf(error);
  if (exitCode !== exitCodes.unavailable) return error;
  return new CommandError(code, message, goOn, exitCode);
}

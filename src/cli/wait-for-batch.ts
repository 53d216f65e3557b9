import type { Batch, OtpClient } from 'isms-otp-client';
import { batchLine, batchText, isThrough } from './batch-view.js';
import type { Call } from './command.js';
import { type ExitCode, exitCodes } from './exit-codes.js';
import { createProgressLine } from './upload-progress.js';
import { watch } from './watch.js';

/** Waits until nothing of a batch waits to be sent, and shows it; `refused` where some of it failed. */
export async function waitForBatch(client: OtpClient, call: Call, id: string): Promise<ExitCode> {
  const { io } = call;
  const progress = createProgressLine(call);
  const look = () => client.getBatch(id, { signal: io.signal });
  let batch: Batch | null = null;
  try {
    for await (batch of watch(look, isThrough, io.signal)) {
      const line = batchLine(batch);
      progress.show(() => line);
    }
  } finally {
    progress.end();
  }
  if (!batch) return exitCodes.done;
  call.answer(batch, `\n${batchText(batch)}`);
  return batch.counts.failed + batch.counts.unknown > 0 ? exitCodes.refused : exitCodes.done;
}

import type { ListBatchesOptions } from 'isms-otp-client';
import { answer, type Call, connect, take } from './call.js';
import { type ExitCode, exitCodes } from './failure.js';
import { given } from './send.js';
import { batchText, counted, table } from './view.js';

/** Lists batches, newest first; `limit`: of all pages together. */
export async function listBatches(
  call: Call,
  { limit = 20, ...options }: ListBatchesOptions,
): Promise<ExitCode> {
  const { client } = await connect(call);
  const asked = { ...given(options), limit: Math.min(Math.max(limit, 1), 100), signal: call.signal };
  const batches = await take(client.listBatches(asked), limit);
  const lines = batches.map(({ id, createdAt, status, counts, waiting, lines: all, name }) => {
    const unsent = counts.queued + counts.sending;
    return [id, createdAt, status, counted(all), counted(unsent), counted(waiting), name ?? ''];
  });
  const header = ['batch', 'created', 'status', 'lines', 'unsent', 'waiting', 'name'];
  answer(call, { batches }, batches.length === 0 ? 'no batches' : table([header, ...lines]));
  return exitCodes.done;
}

/** Shows a batch, after a change of it if there is one. */
export async function showBatch(
  call: Call,
  id: string,
  change: 'pause' | 'resume' | 'cancel' | null,
): Promise<ExitCode> {
  const { client } = await connect(call);
  const options = { signal: call.signal };
  if (change === 'cancel') await client.cancelBatch(id, options);
  const batch =
    change === 'pause' || change === 'resume'
      ? await client.changeBatch(id, { paused: change === 'pause' }, options)
      : await client.getBatch(id, options);
  answer(call, batch, batchText(batch));
  return exitCodes.done;
}

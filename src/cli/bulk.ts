import type { Batch, OtpClient } from 'isms-otp-client';
import { answer, type Call, connect } from './call.js';
import { type ExitCode, exitCodes, usageError } from './failure.js';
import { inspectInput, jsonObject } from './input.js';
import { given } from './send.js';
import { poll } from './status.js';
import { createProgressLine, planUpload, runUpload } from './upload.js';
import { batchLine, batchText, counted, isSent, rows } from './view.js';

/** Options of `bulk`, as they are set. */
export interface BulkOptions {
  /** JSON. */
  defaults?: string;
  name?: string;
  startAt?: string;
  perSecond?: number;
  results?: string;
  wait?: true;
  idempotencyKey?: string;
  again?: true;
  retryRejected?: true;
}

/** Codes of rejected lines that a later upload may not meet again. */
const temporary = [
  'overloaded',
  'queue_unavailable',
  'sending_paused',
  'app_paused',
  'app_rate_limited',
  'app_budget_exceeded',
  'recipient_rate_limited',
  'limit_key_rate_limited',
];

/** Uploads a file of OTPs, or resumes the upload of an earlier run; each line counts once. */
export async function bulk(call: Call, file: string, options: BulkOptions): Promise<ExitCode> {
  const { idempotencyKey: key, wait = false, again = false, retryRejected = false } = options;
  const { results = `${file}.results.ndjson` } = options;
  if (key !== undefined && !/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw usageError('--idempotency-key must be 1 to 255 visible ASCII characters without spaces', call.name);
  }
  const defaults = readDefaults(call, options.defaults);
  const { client, url } = await connect(call);
  const input = await inspectInput(file, call.signal);
  const request = { file, input, results, url, again, retryRejected, ...given({ key, defaults }) };
  const plan = await planUpload(request, client, call.signal);
  const named = { results, key: plan.upload.key };
  let summary = plan.finished;
  if (summary) {
    answer(call, { ...summary, ...named, finishedBefore: true }, finishedText(results, summary.batchId));
  } else {
    const { name, startAt, perSecond } = options;
    const batch = given({ name, startAt, perSecond });
    const uploaded = await runUpload(client, { ...plan, file, results, batch }, call);
    const { linesPerSecond, seconds } = uploaded;
    summary = uploaded.summary;
    const facts = { ...summary, seconds: Number(seconds.toFixed(3)), linesPerSecond, ...named };
    answer(call, facts, uploadedText(uploaded, results));
  }
  const waited = wait ? await waitForBatch(client, call, summary.batchId) : exitCodes.done;
  return summary.rejected > 0 ? exitCodes.rejected : waited;
}

function readDefaults(call: Call, text: string | undefined): object | undefined {
  if (text === undefined) return undefined;
  const defaults = jsonObject(text);
  if (defaults && !('to' in defaults)) return defaults;
  throw usageError('--defaults must be a JSON object without "to", such as {"purpose": "login"}', call.name);
}

function finishedText(results: string, batchId: string): string {
  return [
    `All lines were answered before: see ${results}, batch ${batchId}. Nothing was sent.`,
    '--retry-rejected uploads rejected lines again; --again sends the whole file as a new upload.',
  ].join('\n');
}

function uploadedText(
  { summary, seconds, linesPerSecond }: Awaited<ReturnType<typeof runUpload>>,
  results: string,
): string {
  const codes = Object.entries(summary.codes).map(([code, count]) => `(${counted(count)} ${code})`);
  const canRetry = temporary.some((code) => code in summary.codes);
  return rows([
    ['batch', summary.batchId],
    ['accepted', counted(summary.accepted)],
    ['rejected', [counted(summary.rejected), ...codes].join(' ')],
    ['took', `${seconds.toFixed(1)} s (${counted(linesPerSecond)} lines/s)`],
    ['results', results],
    ['next', canRetry ? 'run again with --retry-rejected' : null],
  ]);
}

/** Waits until no OTP of a batch waits to be sent, and shows the batch. `rejected` if any OTP was not sent. */
async function waitForBatch(client: OtpClient, call: Call, id: string): Promise<ExitCode> {
  const progress = createProgressLine(call);
  const load = () => client.getBatch(id, { signal: call.signal });
  let batch: Batch | null = null;
  try {
    for await (batch of poll(load, isSent, call.signal)) {
      const line = batchLine(batch);
      progress.show(() => line);
    }
  } finally {
    progress.end();
  }
  if (!batch) return exitCodes.done;
  answer(call, batch, `\n${batchText(batch)}`);
  const { counts } = batch;
  if (counts.failed + counts.unknown > 0) return exitCodes.rejected;
  for (const status of ['cancelled', 'expired'] as const)
    if (counts[status] > 0 && !(await wereSent(client, call, { id, status }))) return exitCodes.rejected;
  return exitCodes.done;
}

/** Whether each OTP of a batch with this status had been sent before. */
async function wereSent(
  client: OtpClient,
  { signal }: Call,
  { id, status }: { id: string; status: 'cancelled' | 'expired' },
): Promise<boolean> {
  for await (const { sentAt } of client.listBatch(id, { status, limit: 500, signal }))
    if (sentAt === null) return false;
  return true;
}

import { given } from './call.js';
import { type Call, defineCommand } from './command.js';
import { exitCodes } from './exit-codes.js';
import { gatewayOf } from './gateway.js';
import { inspectInput } from './input.js';
import { counted, rows } from './rows.js';
import { goOn, runUpload, type Uploaded } from './upload.js';
import { planUpload, type UploadRequest } from './upload-plan.js';
import { waitForBatch } from './wait-for-batch.js';

type BulkCall = Call<'defaults' | 'results' | 'wait' | 'key' | 'again' | 'refused' | 'url'>;

/** Refusals that pass by themselves. */
const passing = [
  'overloaded',
  'queue_unavailable',
  'sending_paused',
  'app_rate_limited',
  'phone_rate_limited',
];

/** Uploads a file of OTPs; run again after it was broken off, it goes on, and each line counts once. */
export const bulk = defineCommand({
  form: 'bulk <file>',
  says: 'send an OTP for each line of a .csv, .ndjson or .jsonl; run again, it goes on where it broke off',
  whenStopped: goOn,
  flags: {
    defaults: { takes: 'JSON', says: 'members for every OTP that has none of its own' },
    results: { takes: 'file', says: 'what became of each line; default: <file>.results.ndjson' },
    wait: { says: 'until all of it has been sent' },
    key: { takes: 'key', says: 'idempotency key of the upload; default: a new one' },
    again: { says: 'all of it once more, as a new upload' },
    refused: { says: 'a finished upload again under its key: for lines that were refused' },
  },
  run: async (call) => {
    const [file, ...more] = call.words;
    if (file === undefined || more.length > 0) throw call.misused('One file is needed');
    if (call.is('again') && call.is('refused'))
      throw call.misused('--again and --refused exclude each other');
    const results = call.text('results') ?? `${file}.results.ndjson`;
    const { client, url } = await gatewayOf(call);
    const input = await inspectInput(file, call.io.signal);
    const plan = await planUpload({ ...optionsOf(call), file, input, results, url });
    const { key } = plan.upload;
    if (plan.kind === 'finished') {
      const { batchId } = plan.summary;
      call.answer({ ...plan.summary, results, key, finishedBefore: true }, finishedText(results, batchId));
      const waited = call.is('wait') ? await waitForBatch(client, call, batchId) : exitCodes.done;
      return plan.summary.rejected > 0 ? exitCodes.refused : waited;
    }
    const uploaded = await runUpload(client, { ...plan, file, results }, call);
    call.answer(jsonOf(uploaded, { results, key }), textOf(uploaded, results));
    const waited = call.is('wait')
      ? await waitForBatch(client, call, uploaded.summary.batchId)
      : exitCodes.done;
    return uploaded.summary.rejected > 0 ? exitCodes.refused : waited;
  },
});

function optionsOf(call: BulkCall): Pick<UploadRequest, 'again' | 'refused' | 'key' | 'defaults'> {
  const key = call.text('key');
  if (key !== undefined && !/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw call.misused('--key must be 1 to 255 visible ASCII characters, no spaces');
  }
  const defaults = defaultsOf(call);
  return { again: call.is('again'), refused: call.is('refused'), ...given({ key, defaults }) };
}

function defaultsOf(call: BulkCall): object | undefined {
  const text = call.text('defaults');
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && !('to' in value))
      return value;
  } catch {
    // Said below.
  }
  throw call.misused('--defaults must be a JSON object without "to", such as {"purpose": "login"}');
}

function finishedText(results: string, batchId: string): string {
  return [
    `All lines were answered before: see ${results}, batch ${batchId}. Nothing was sent.`,
    '--refused tries again what was refused, --again sends all of it as a new upload.',
  ].join('\n');
}

function textOf({ summary, seconds }: Uploaded, results: string): string {
  const lines = summary.accepted + summary.rejected;
  const codes = Object.entries(summary.codes).map(([code, count]) => `${counted(count)} ${code}`);
  return rows([
    ['batch', summary.batchId],
    ['accepted', counted(summary.accepted)],
    ['rejected', [counted(summary.rejected), ...codes.map((code) => `(${code})`)].join(' ')],
    ['took', `${seconds.toFixed(1)} s (${counted(Math.round(lines / seconds))} lines/s)`],
    ['results', results],
    [
      'next',
      passing.some((code) => code in summary.codes) ? 'with --refused what was refused is tried again' : null,
    ],
  ]);
}

function jsonOf({ summary, seconds }: Uploaded, more: { results: string; key: string }): object {
  const lines = summary.accepted + summary.rejected;
  const rate = { seconds: Number(seconds.toFixed(3)), linesPerSecond: Math.round(lines / seconds) };
  return { ...summary, ...rate, ...more };
}

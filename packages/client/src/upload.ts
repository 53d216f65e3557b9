import { checkedKey, query } from './calls.js';
import { isOtpError, networkError, OtpError, OtpUploadBroken } from './errors.js';
import { timeText } from './pages.js';
import { errorOf, invalidAnswer, jsonOf } from './problem.js';
import { rawAnswer } from './request.js';
import { retryPauseMs } from './retry.js';
import { checkedTimeoutMs, type Settings } from './settings.js';
import { pause, type SilenceWatch, watchSilence } from './time.js';
import type { UploadResult, UploadSummary } from './types.js';
import { uploadBody } from './upload-body.js';
import type { OtpInputs, UploadInputs, UploadOptions } from './upload-options.js';

const defaultSilenceMs = 600_000;
const ndjson = 'application/x-ndjson';

/** State of an upload across its tries. */
interface Upload extends Omit<UploadOptions, 'idempotencyKey'> {
  idempotencyKey: string;
  silenceMs: number;
  /** Null until the gateway starts to answer. */
  batchId: string | null;
  linesAnswered: number;
  /** Lines before this one have been given to `onResult`. */
  nextIndex: number;
  /** Those of them that were rejected temporarily, and that a retry may accept. */
  refusedForNow: Set<number>;
}

/** Uploads OTPs as one batch, with retries under one key. */
export async function sendMany(
  settings: Settings,
  inputs: UploadInputs,
  { idempotencyKey, silenceMs = defaultSilenceMs, ...options }: UploadOptions,
): Promise<UploadSummary> {
  const key = checkedKey(idempotencyKey);
  const begun = { batchId: null, linesAnswered: 0, nextIndex: 0, refusedForNow: new Set<number>() };
  const upload: Upload = {
    ...options,
    ...begun,
    idempotencyKey: key,
    silenceMs: checkedTimeoutMs(silenceMs),
  };
  const retries = canReadAgain(inputs) ? settings.retries : 0;
  for (let failed = 1; ; failed += 1) {
    try {
      return await uploadOnce(settings, typeof inputs === 'function' ? inputs() : inputs, upload);
    } catch (error) {
      if (!(error instanceof OtpError)) throw error;
      const pauseMs = retryPauseMs(error, { rule: 'repeatable', failed, retries, before: null });
      if (pauseMs === null) throw brokenOr(error, upload);
      await pause(pauseMs, upload.signal);
    }
  }
}

function canReadAgain(inputs: UploadInputs): boolean {
  return Array.isArray(inputs) || typeof inputs === 'function';
}

/** An error of the gateway itself is not a broken upload. */
function brokenOr(error: OtpError, upload: Upload): OtpError {
  const broken = isOtpError(error, 'network_error', 'timeout', 'invalid_answer');
  return broken ? new OtpUploadBroken(error, upload) : error;
}

/** Rejects with an OtpError for errors of the network and the gateway, with others for errors of the caller. */
async function uploadOnce(settings: Settings, inputs: OtpInputs, upload: Upload): Promise<UploadSummary> {
  const watch = watchSilence({ ms: upload.silenceMs, signal: upload.signal });
  const body = uploadBody(inputs, upload.defaults, { read: watch.heard, failed: watch.abort });
  try {
    const response = await post(settings, upload, { body: body.stream, signal: watch.signal });
    watch.heard();
    if (response.status !== 202 || !response.body) throw await refusalOf(response, upload);
    upload.batchId = /\/v1\/batches\/([^/]+)$/.exec(response.headers.get('location') ?? '')?.[1] ?? null;
    return await readResults(response.body, response, { upload, watch });
  } catch (error) {
    throw watch.signal.aborted ? watch.signal.reason : error;
  } finally {
    watch.end();
    // Some runtimes keep sending after the answer has ended.
    watch.abort();
    body.close();
  }
}

async function post(
  { fetch, baseUrl, authorization }: Settings,
  { idempotencyKey, name, startAt, perSecond }: Upload,
  { body, signal }: { body: ReadableStream<Uint8Array<ArrayBuffer>>; signal: AbortSignal },
): Promise<Response> {
  // `duplex` is missing in some types, but required for streamed bodies.
  const init: RequestInit & { duplex: 'half' } = {
    method: 'POST',
    headers: {
      Authorization: authorization,
      Accept: `${ndjson}, application/problem+json`,
      'Content-Type': ndjson,
      'Idempotency-Key': idempotencyKey,
    },
    body,
    signal,
    redirect: 'manual',
    duplex: 'half',
  };
  const options = query({ name, startAt: timeText(startAt), perSecond });
  return await fetch(`${baseUrl}/v1/otps/bulk${options}`, init).catch((error: unknown) => {
    throw networkError(error, idempotencyKey);
  });
}

async function refusalOf(response: Response, { idempotencyKey }: Upload): Promise<OtpError> {
  const answer = await rawAnswer(response).catch((error: unknown) => {
    throw networkError(error, idempotencyKey);
  });
  return errorOf(answer, idempotencyKey);
}

async function readResults(
  body: ReadableStream<Uint8Array>,
  { status, headers }: Response,
  { upload, watch }: { upload: Upload; watch: SilenceWatch },
): Promise<UploadSummary> {
  for await (const text of linesOf(body, upload.idempotencyKey)) {
    watch.heard();
    const answer = jsonOf({ text });
    if (isSummary(answer)) return answer.summary;
    if (!isResult(answer)) throw invalidAnswer({ status, headers, text }, upload.idempotencyKey);
    await tell(answer, upload);
  }
  throw networkError(null, upload.idempotencyKey);
}

/** Temporary rejections. */
const passing: readonly string[] = [
  'queue_unavailable',
  'overloaded',
  'app_rate_limited',
  'sending_paused',
  'app_paused',
  'too_many_rejected',
];

/** Skips results of an earlier try, except a line that was rejected temporarily and is accepted now. */
async function tell(result: UploadResult, upload: Upload): Promise<void> {
  const { index } = result;
  const isPassing = 'code' in result && passing.includes(result.code);
  if (index < upload.nextIndex) {
    if (isPassing || !upload.refusedForNow.delete(index)) return;
  } else {
    upload.nextIndex = index + 1;
    upload.linesAnswered += 1;
    if (isPassing) upload.refusedForNow.add(index);
  }
  await upload.onResult?.(result);
}

function isSummary(answer: object | null): answer is { summary: UploadSummary } {
  return answer !== null && 'summary' in answer && typeof answer.summary === 'object';
}

function isResult(answer: object | null): answer is UploadResult {
  return answer !== null && 'index' in answer && typeof answer.index === 'number';
}

/** Reads an answer line by line, without empty lines. Throws an OtpError `network_error` if it breaks off. */
async function* linesOf(
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
      // A line without its end is incomplete.
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

import { randomUUID } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { basename } from 'node:path';
import {
  isOtpError,
  type OtpClient,
  OtpError,
  type OtpInput,
  type UploadOptions,
  type UploadResult,
} from 'isms-otp-client';
import type { Call } from './call.js';
import { CommandError, exitCodes, failureOf } from './failure.js';
import { type inspectInput, readInput } from './input.js';
import {
  beginResults,
  type ResultsSummary,
  readResults,
  type UploadRecord,
  writeResults,
} from './results-file.js';
import { counted } from './view.js';

/** Advice after an upload that was broken off. */
const resumeAdvice = 'run it again, without --again, to resume: each line counts once';

/** An upload as the command line asks for it. */
interface UploadRequest {
  file: string;
  input: Awaited<ReturnType<typeof inspectInput>>;
  /** Path of the results file. */
  results: string;
  url: string;
  defaults?: object;
  key?: string;
  /** Send the whole file as a new upload, even after an earlier one. */
  again: boolean;
  /** Repeat a finished upload under its key, for rejected lines. */
  retryRejected: boolean;
}

/** The gateway takes those of the first run. */
type BatchOptions = Pick<UploadOptions, 'name' | 'startAt' | 'perSecond'>;

/** Shorter than the gateway keeps lines by default (OTP_RETENTION_SECONDS, a day). */
const resumableForMs = 20 * 3_600_000;

/**
 * Plans to resume the upload in the results file, or writes the record of a new one to disk before anything is sent.
 * `finished` is the summary of an earlier run that leaves nothing to do. Throws a CommandError when the results file
 * belongs to another upload, is older than 20 hours, or lists OTPs that the gateway deleted.
 */
export async function planUpload(request: UploadRequest, client: OtpClient, signal: AbortSignal) {
  const { results, again, retryRejected } = request;
  const earlier = await readResults(results);
  if (earlier && !again) {
    const { upload, summary, ids } = earlier;
    checkSame(request, upload);
    if (summary && !retryRejected) return { upload, resumed: true, finished: summary };
    checkAge(upload, results);
    await checkKnown(client, ids, { results, signal });
    return { upload, resumed: true, finished: null };
  }
  if (earlier) await rename(results, `${results}.old`);
  const { file, input, url, defaults, key = randomUUID() } = request;
  const at = new Date().toISOString();
  const upload = { key, file: basename(file), ...input, url, at, ...(defaults && { defaults }) };
  await beginResults(results, upload);
  return { upload, resumed: false, finished: null };
}

/** Rejects differences: the gateway would reject such lines, or send them twice. */
function checkSame({ input, defaults, url, key, results }: UploadRequest, upload: UploadRecord): void {
  const text = (value: unknown) => JSON.stringify(value ?? null);
  const problem = [
    input.sha256 !== upload.sha256 && 'The file has changed',
    text(defaults) !== text(upload.defaults) && '--defaults differ',
    url !== upload.url && `The URL was ${upload.url}`,
    key !== undefined && key !== upload.key && '--idempotency-key differs',
  ].find((found) => found !== false);
  if (problem === undefined) return;
  const advice = `choose another --results, or delete ${results}, to send it as a new upload`;
  throw new CommandError('results', `${problem} since the upload in ${results}`, advice);
}

/** Ids looked up in the gateway. */
const idsChecked = 5;
const forgottenAdvice = 'resuming could send lines twice: copy the lines without an id to a new file';

function checkAge({ at }: UploadRecord, results: string): void {
  if (Date.now() - Date.parse(at) < resumableForMs) return;
  throw new CommandError('results', `The upload in ${results} began more than 20 hours ago`, forgottenAdvice);
}

/** Looks up the first OTPs: with a shorter OTP_RETENTION_SECONDS they are deleted first. The upload meets other errors. */
async function checkKnown(
  client: OtpClient,
  ids: readonly string[],
  { results, signal }: { results: string; signal: AbortSignal },
): Promise<void> {
  const isGone = (error: unknown) => isOtpError(error, 'otp_not_found');
  const calls = ids.slice(0, idsChecked).map((id) => client.get(id, { signal }).then(() => false, isGone));
  if ((await Promise.all(calls)).includes(true))
    throw new CommandError('results', `The gateway no longer has all OTPs in ${results}`, forgottenAdvice);
}

/** Sends the lines of a file under the upload's key and writes their results. Holds a few lines at a time. */
export async function runUpload(
  client: OtpClient,
  upload: { file: string; results: string; upload: UploadRecord; resumed: boolean; batch: BatchOptions },
  call: Call,
) {
  const began = performance.now();
  const secondsSince = () => (performance.now() - began) / 1_000;
  const { lines } = upload.upload;
  const writer = await writeResults(upload.results, upload.upload, upload.resumed);
  const progress = createProgressLine(call);
  const counts: Omit<ResultsSummary, 'batchId'> = { accepted: 0, rejected: 0, codes: {} };
  const onResult = (result: UploadResult, line: number) => {
    if ('id' in result) counts.accepted += 1;
    else {
      counts.rejected += 1;
      counts.codes[result.code] = (counts.codes[result.code] ?? 0) + 1;
    }
    progress.show((columns) => uploadLine(counts, { lines, seconds: secondsSince(), columns }));
    return writer.add({ line, ...result });
  };
  try {
    const batchId = await sendLines(client, upload, { result: onResult, signal: call.signal });
    const answered = counts.accepted + counts.rejected;
    if (answered !== lines) {
      const advice = `check that no other program writes to the file; ${resumeAdvice}`;
      const problem = `${answered} of ${lines} lines were answered`;
      throw new CommandError('incomplete', problem, advice, exitCodes.rejected);
    }
    const summary = { batchId, ...counts };
    await writer.finish(summary);
    const seconds = secondsSince();
    return { summary, seconds, linesPerSecond: Math.round(lines / seconds) };
  } catch (error) {
    await writer.abandon();
    throw withResumeAdvice(error);
  } finally {
    progress.end();
  }
}

async function sendLines(
  client: OtpClient,
  { file, upload: { key, defaults }, batch }: { file: string; upload: UploadRecord; batch: BatchOptions },
  on: { result(result: UploadResult, line: number): Promise<void> | undefined; signal: AbortSignal },
): Promise<string> {
  const numbers = createLineNumbers();
  const inputs = function* (): Generator<OtpInput, void> {
    for (const { line, otp } of readInput(file)) {
      numbers.note(line);
      yield otp;
    }
  };
  // Not as a function: the client would retry it, and a retry does not report rejected lines again.
  const { batchId } = await client.sendMany(inputs(), {
    ...batch,
    idempotencyKey: key,
    ...(defaults && { defaults }),
    signal: on.signal,
    onResult: (result) => on.result(result, numbers.lineOf(result.index)),
  });
  return batchId;
}

/** Maps the index of an OTP to its line in the file. Stores only skipped lines that were not looked up yet. */
export function createLineNumbers() {
  const shifts: { from: number; by: number }[] = [];
  let noted = 0;
  let current = 0;
  let newest = 0;
  return {
    /** Notes the line of the next OTP. */
    note: (line: number) => {
      const by = line - noted;
      if (by !== newest) shifts.push({ from: noted, by });
      newest = by;
      noted += 1;
    },
    /** The line of an OTP by its index; call it in rising order. */
    lineOf: (index: number) => {
      for (let next = shifts[0]; next && next.from <= index; next = shifts[0]) {
        current = next.by;
        shifts.shift();
      }
      return index + current;
    },
  };
}

/** An upload that broke off can be resumed; one that the gateway rejected as a whole cannot. */
function withResumeAdvice(error: unknown): unknown {
  if (!(error instanceof OtpError)) return error;
  const { code, message, exitCode } = failureOf(error);
  return exitCode === exitCodes.unavailable ? new CommandError(code, message, resumeAdvice, exitCode) : error;
}

const redrawEveryMs = 100;
const printEveryMs = 5_000;
const longestBar = 24;
const shortestBar = 5;
const eraseLine = '\r\x1b[K';

/**
 * Shows progress on stderr: one changing line on a terminal, else a new line every 5 s. Silent with `--json` off a
 * terminal, where stderr holds nothing but an error.
 */
export function createProgressLine({ stderr, env, json }: Call) {
  const live = stderr.isTTY === true && env['TERM'] !== 'dumb';
  if (json && !live) return { show: () => {}, end: () => {} };
  const everyMs = live ? redrawEveryMs : printEveryMs;
  let shownAt = live ? 0 : performance.now();
  return {
    /** Shows the text if enough time has passed; cheap to call often. `columns` is null off a terminal. */
    show: (text: (columns: number | null) => string) => {
      const now = performance.now();
      if (now - shownAt < everyMs) return;
      shownAt = now;
      const columns = (stderr.columns ?? 80) - 1;
      stderr.write(live ? `${eraseLine}${text(columns).slice(0, columns)}` : `${text(null)}\n`);
    },
    /** Removes the line from the terminal. */
    end: () => {
      if (live) stderr.write(eraseLine);
    },
  };
}

/** Formats an upload in one line: answered lines, rate, remaining time; with a bar where columns are left for one. */
function uploadLine(
  { accepted, rejected }: { accepted: number; rejected: number },
  { lines, seconds, columns }: { lines: number; seconds: number; columns: number | null },
): string {
  const done = accepted + rejected;
  const rate = done / seconds;
  const text = [
    `${counted(done)}/${counted(lines)}`,
    `${counted(Math.round(rate))}/s`,
    `ETA ${rate > 0 ? clock((lines - done) / rate) : '-'}`,
    `accepted ${counted(accepted)}`,
    `rejected ${counted(rejected)}`,
  ].join('  ');
  const length = Math.min(longestBar, (columns ?? 0) - text.length - 2);
  if (length < shortestBar) return text;
  const filled = Math.floor((done / lines) * length);
  return `${'█'.repeat(filled)}${'░'.repeat(length - filled)}  ${text}`;
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

import { randomUUID } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { basename } from 'node:path';
import { CommandError } from './command-error.js';
import type { InputFacts } from './input.js';
import { beginResults, type ResultsSummary, readResults, type UploadRecord } from './results-file.js';

/** What is asked for. */
export interface UploadRequest {
  file: string;
  input: InputFacts;
  /** Path of the results file. */
  results: string;
  url: string;
  defaults?: object;
  key?: string;
  /** All of it as a new upload, even if there was one. */
  again: boolean;
  /** A finished one under its own key, for what was refused. */
  refused: boolean;
}

/** What is to be done: an upload, begun now or `resumed`; or nothing, as it was finished before. */
export type UploadPlan =
  | { kind: 'upload'; upload: UploadRecord; resumed: boolean }
  | { kind: 'finished'; upload: UploadRecord; summary: ResultsSummary };

/** The gateway knows lines for as long as it keeps OTPs that ended: a day, unless OTP_RETENTION_SECONDS says otherwise. */
const knownForMs = 20 * 3_600_000;

/**
 * Goes on with what an earlier run has begun, if it is about the same, or begins anew: then the results file says so on
 * disk, before anything is sent. Throws a CommandError when the results file is about something else.
 */
export async function planUpload(request: UploadRequest): Promise<UploadPlan> {
  const { results, again, refused } = request;
  const earlier = await readResults(results);
  if (earlier && !again) {
    const { upload, summary } = earlier;
    checkSame(request, upload);
    if (summary && !refused) return { kind: 'finished', upload, summary };
    checkAge(upload, results);
    return { kind: 'upload', upload, resumed: true };
  }
  if (earlier) await rename(results, `${results}.old`);
  const upload = recordOf(request);
  await beginResults(results, upload);
  return { kind: 'upload', upload, resumed: false };
}

function recordOf({ file, input, url, defaults, key = randomUUID() }: UploadRequest): UploadRecord {
  const at = new Date().toISOString();
  return { key, file: basename(file), ...input, url, at, ...(defaults && { defaults }) };
}

/** What differs would be refused line by line, or be sent once more. */
function checkSame(request: UploadRequest, upload: UploadRecord): void {
  const text = (value: unknown) => JSON.stringify(value ?? null);
  if (request.input.sha256 !== upload.sha256) throw otherUpload('The file has changed', request);
  if (text(request.defaults) !== text(upload.defaults))
    throw otherUpload('--defaults are not the same', request);
  if (request.url !== upload.url) throw otherUpload(`It was sent to ${upload.url}`, request);
  if (request.key !== undefined && request.key !== upload.key)
    throw otherUpload('--key is not the same', request);
}

function otherUpload(problem: string, { results }: UploadRequest): CommandError {
  const advice = `choose another --results, or delete ${results}, to send it as a new upload`;
  return new CommandError('results', `${problem} since the upload that ${results} is about`, advice);
}

function checkAge({ at }: UploadRecord, results: string): void {
  if (Date.now() - Date.parse(at) < knownForMs) return;
  throw new CommandError(
    'results',
    `The upload that ${results} is about was begun more than 20 hours ago`,
    'the gateway may know its lines no more, and send them twice: put those that have no id there into a new file',
  );
}

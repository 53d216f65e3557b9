import { randomUUID } from 'node:crypto';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CommandError } from './command-error.js';

/** The first line of a results file: which upload it is about, so that it can be gone on with. */
export interface UploadRecord {
  /** Idempotency key: under it each line counts once. */
  key: string;
  /** Name of the input, without its folders. */
  file: string;
  sha256: string;
  lines: number;
  url: string;
  /** When it was begun. */
  at: string;
  defaults?: object;
}

/** The last line of a results file, once every line has been answered. */
export interface ResultsSummary {
  batchId: string;
  accepted: number;
  rejected: number;
  /** How many lines were refused, by code. */
  codes: Record<string, number>;
}

/** What an earlier run has left. */
export interface EarlierResults {
  upload: UploadRecord;
  /** Null: it was not finished. */
  summary: ResultsSummary | null;
}

/** A results file that is being written. */
export interface ResultsWriter {
  add(result: object): Promise<void> | undefined;
  /** Writes the summary; from then on the file stands under its name, whole. */
  finish(summary: ResultsSummary): Promise<void>;
  /** Lets go of it, unfinished. */
  abandon(): Promise<void>;
}

const bytesAtATime = 16_384;
const mostOfAnEnd = 65_536;

/** Reads what an earlier run has left under this name; null: nothing. Throws a CommandError for a file of another kind. */
export async function readResults(path: string): Promise<EarlierResults | null> {
  const file = await open(path, 'r').catch(nullIfMissing);
  if (!file) return null;
  try {
    const { size } = await file.stat();
    const part = async (from: number) =>
      (await file.read({ buffer: Buffer.alloc(mostOfAnEnd), position: from })).buffer.toString(
        'utf8',
        0,
        size - from,
      );
    const [first = ''] = (await part(0)).split('\n');
    const upload = memberOf(first, 'upload');
    if (!isUpload(upload)) throw notOurs(path);
    const end = await part(Math.max(0, size - mostOfAnEnd));
    const summary = end.endsWith('\n') ? memberOf(end.trimEnd().split('\n').at(-1) ?? '', 'summary') : null;
    return { upload, summary: summary as ResultsSummary | null };
  } finally {
    await file.close();
  }
}

/** Makes a results file that says which upload is about to begin. It is on disk when this resolves. */
export async function beginResults(path: string, upload: UploadRecord): Promise<void> {
  const part = partOf(path);
  const file = await open(part, 'wx');
  await file.writeFile(`${JSON.stringify({ upload })}\n`);
  await file.sync();
  await file.close();
  await rename(part, path);
}

/**
 * Writes the results of an upload that was begun: the first time to the file itself; to one beside it when it is gone on
 * with (`resumed`), so that what an earlier run has found out stays until all is known.
 */
export async function writeResults(
  path: string,
  upload: UploadRecord,
  resumed: boolean,
): Promise<ResultsWriter> {
  const target = resumed ? partOf(path) : path;
  if (resumed) await beginResults(target, upload);
  const file = await open(target, 'a');
  let waiting = '';
  const flush = async () => {
    const text = waiting;
    waiting = '';
    await file.appendFile(text);
  };
  return {
    add: (result) => {
      waiting += `${JSON.stringify(result)}\n`;
      return waiting.length < bytesAtATime ? undefined : flush();
    },
    finish: async (summary) => {
      waiting += `${JSON.stringify({ summary })}\n`;
      await flush();
      await file.sync();
      await file.close();
      if (resumed) await rename(target, path);
      await removeParts(path);
    },
    abandon: async () => {
      await flush();
      await file.close();
      if (resumed) await rm(target);
    },
  };
}

/** Of its own for each run: two at a time must not write into each other's. */
function partOf(path: string): string {
  return `${path}.${randomUUID().slice(0, 8)}.part`;
}

/** Those that killed runs have left. */
async function removeParts(path: string): Promise<void> {
  const folder = dirname(path);
  const parts = (await readdir(folder)).filter(
    (name) => name.startsWith(`${basename(path)}.`) && /\.[0-9a-f]{8}\.part$/.test(name),
  );
  await Promise.all(parts.map((name) => rm(join(folder, name), { force: true })));
}

function memberOf(line: string, name: string): unknown {
  try {
    return (JSON.parse(line) as Record<string, unknown> | null)?.[name] ?? null;
  } catch {
    return null;
  }
}

function isUpload(value: unknown): value is UploadRecord {
  const text = (name: string) => typeof (value as Record<string, unknown>)[name] === 'string';
  return typeof value === 'object' && value !== null && ['key', 'sha256', 'url', 'at'].every(text);
}

function notOurs(path: string): CommandError {
  return new CommandError('results', `${path} is no results file of an upload`, 'choose another --results');
}

function nullIfMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

import { randomUUID } from 'node:crypto';
import { link, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CommandError } from './failure.js';
import { jsonObject } from './input.js';

/** The first line of a results file: the upload, so that a later run can resume it. */
export interface UploadRecord {
  /** Idempotency key of the upload: under it each line counts once. */
  key: string;
  /** Name of the input file, without its directory. */
  file: string;
  sha256: string;
  lines: number;
  url: string;
  /** Start of the upload. */
  at: string;
  defaults?: object;
}

/** The last line of a finished results file. */
export interface ResultsSummary {
  batchId: string;
  accepted: number;
  rejected: number;
  /** Number of rejected lines by code. */
  codes: Record<string, number>;
}

const bytesAtATime = 16_384;
const tailBytes = 65_536;

/**
 * Reads the results of an earlier run; null if there is no file. `summary` is null if the run did not finish; `ids` are
 * those in the first 64 KiB. Throws a CommandError for another kind of file.
 */
export async function readResults(path: string) {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return null;
  });
  if (!file) return null;
  try {
    const { size } = await file.stat();
    const part = async (from: number) =>
      (await file.read({ buffer: Buffer.alloc(tailBytes), position: from })).buffer.toString(
        'utf8',
        0,
        size - from,
      );
    const [first = '', ...lines] = (await part(0)).split('\n');
    const upload = memberOf(first, 'upload');
    if (!isUpload(upload)) {
      throw new CommandError(
        'results',
        `${path} is not a results file of an upload`,
        'choose another --results',
      );
    }
    const end = await part(Math.max(0, size - tailBytes));
    const summary = end.endsWith('\n') ? memberOf(end.trimEnd().split('\n').at(-1) ?? '', 'summary') : null;
    const ids = lines.map((line) => memberOf(line, 'id')).filter((id) => typeof id === 'string');
    return { upload, summary: summary as ResultsSummary | null, ids };
  } finally {
    await file.close();
  }
}

/**
 * Creates a results file with the record of an upload; both are on disk when this resolves. Throws a CommandError if the
 * file exists: another run has begun.
 */
export async function beginResults(path: string, upload: UploadRecord): Promise<void> {
  const part = partOf(path);
  await writeFile(part, `${JSON.stringify({ upload })}\n`, { flag: 'wx', flush: true });
  // Unlike a renamed file, a link replaces none.
  await link(part, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    throw new CommandError('results', `Another run has just begun ${path}`, 'let it end first');
  });
  await rm(part);
  const folder = await open(dirname(path));
  await folder.sync();
  await folder.close();
}

/**
 * Writes the results of an upload: to the file itself, or, when it is resumed, to a file beside it that replaces the
 * earlier results when complete.
 */
export async function writeResults(path: string, upload: UploadRecord, resumed: boolean) {
  const target = resumed ? partOf(path) : path;
  if (resumed) await beginResults(target, upload);
  const file = await open(target, 'a');
  let waiting = '';
  let hasId = false;
  const flush = async () => {
    const text = waiting;
    waiting = '';
    await file.appendFile(text);
  };
  return {
    add: (result: object) => {
      waiting += `${JSON.stringify(result)}\n`;
      // The first id at once: by it, a later run asks whether the gateway still has the upload.
      const isFirstId = !hasId && 'id' in result;
      hasId ||= isFirstId;
      return isFirstId || waiting.length >= bytesAtATime ? flush() : undefined;
    },
    /** Writes the summary and puts the complete file under its name. */
    finish: async (summary: ResultsSummary) => {
      waiting += `${JSON.stringify({ summary })}\n`;
      await flush();
      await file.sync();
      await file.close();
      if (resumed) await rename(target, path);
      await removeParts(path);
    },
    /** Closes the unfinished file. */
    abandon: async () => {
      await flush();
      await file.close();
      if (resumed) await rm(target);
    },
  };
}

/** A separate file for each run: two runs at a time must not write into one. */
function partOf(path: string): string {
  return `${path}.${randomUUID().slice(0, 8)}.part`;
}

/** Removes partial files that killed runs left. */
async function removeParts(path: string): Promise<void> {
  const folder = dirname(path);
  const parts = (await readdir(folder)).filter(
    (name) => name.startsWith(`${basename(path)}.`) && /\.[0-9a-f]{8}\.part$/.test(name),
  );
  await Promise.all(parts.map((name) => rm(join(folder, name), { force: true })));
}

function memberOf(line: string, name: string): unknown {
  return Reflect.get(jsonObject(line) ?? {}, name) ?? null;
}

function isUpload(value: unknown): value is UploadRecord {
  const text = (name: string) => typeof (value as Record<string, unknown>)[name] === 'string';
  return typeof value === 'object' && value !== null && ['key', 'sha256', 'url', 'at'].every(text);
}

import type { Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { CommandError } from './command-error.js';

const bytesAtATime = 65_536;

/**
 * The text of a file, piece by piece, without its byte order mark; `hash` sees every byte. Throws a CommandError for a
 * file that cannot be read, or is not UTF-8. Synchronous, as the client packs lines together only if they are there at
 * once: a million lines cost it 5 s so, and 52 s one by one (measured).
 */
export function* textOf(file: string, hash?: Hash): Generator<string, void> {
  const decode = utf8Decoder();
  const descriptor = readable(() => openSync(file, 'r'));
  try {
    const buffer = Buffer.alloc(bytesAtATime);
    for (;;) {
      const bytes = buffer.subarray(
        0,
        readable(() => readSync(descriptor, buffer)),
      );
      hash?.update(bytes);
      yield decode(bytes);
      if (bytes.length === 0) return;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** A file that cannot be uploaded. */
export function inputError(problem: string, advice: string): CommandError {
  return new CommandError('input', problem, advice === '' ? nothingSent : `${advice}; ${nothingSent}`);
}

const nothingSent = 'nothing was sent';

/** Decodes piece by piece; no bytes: the end of the file. */
function utf8Decoder(): (bytes: Buffer) => string {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  return (bytes) => {
    try {
      return decoder.decode(bytes, { stream: bytes.length > 0 });
    } catch {
      throw inputError('The file is not UTF-8', 'save it as UTF-8 (spreadsheets: "CSV UTF-8")');
    }
  };
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw inputError(`The file cannot be read: ${code}`, 'see its path and its rights');
  }
}

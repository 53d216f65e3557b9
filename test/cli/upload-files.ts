import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterFile } from '../support/clean-up.js';
import { sleep } from '../support/otps.js';
import { type GatewayProcess, runCommand } from '../support/processes.js';

/** A folder of its own for files of a test; it goes when the test file is done. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'isms-otp-bulk-'));
  afterFile(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The lines of a results file. */
export interface ResultLine {
  line?: number;
  index?: number;
  id?: string;
  code?: string;
  message?: string;
  upload?: { key: string; file: string; sha256: string; lines: number };
  summary?: { batchId: string; accepted: number; rejected: number; codes: Record<string, number> };
}

/** What a results file says; a line that is not whole yet is left out. */
export function resultsIn(path: string): ResultLine[] {
  const text = readFileSync(path, 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Runs `isms-otp bulk` as a process and signals it once this run has written down so many lines; how it ended. */
export async function bulkStoppedAt(
  answered: number,
  signal: NodeJS.Signals,
  { file, env }: { file: string; env: Record<string, string> },
): Promise<{ code: number | NodeJS.Signals | null; output: string }> {
  // What an earlier run left stays as it is until this one is over.
  const earlier = readdirSync(dirname(file));
  const running = runCommand(['bulk', file], env);
  const linesOfThisRun = () => {
    const written = readdirSync(dirname(file)).filter((name) => !earlier.includes(name));
    const texts = written.map((name) => readFileSync(join(dirname(file), name), 'utf8'));
    return Math.max(0, ...texts.map((text) => text.split('\n').length));
  };
  while (linesOfThisRun() < answered && running.child.exitCode === null) await sleep(5);
  const code = await running.end(signal);
  return { code, output: running.output };
}

/** Runs it to its end. */
export async function bulkToItsEnd({ file, env }: { file: string; env: Record<string, string> }) {
  const running: GatewayProcess = runCommand(['bulk', file, '--json'], env);
  await new Promise((resolve) => running.child.once('close', resolve));
  return { code: await running.end(), output: running.output };
}

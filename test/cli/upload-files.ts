import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterFile } from '../support/clean-up.js';
import { sleep } from '../support/otps.js';
import { type GatewayProcess, runCommand } from '../support/processes.js';

/** A directory for the files of a test, removed after the test file. */
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

/** Parses a results file without an incomplete last line. */
export function resultsIn(path: string): ResultLine[] {
  const text = readFileSync(path, 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Runs `isms-otp bulk` as a process and signals it after `answered` result lines of this run. */
export async function bulkStoppedAt(
  answered: number,
  signal: NodeJS.Signals,
  { file, env }: { file: string; env: Record<string, string> },
): Promise<{ code: number | NodeJS.Signals | null; output: string }> {
  // Results of an earlier run stay in their file until this run ends.
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

/** Runs `isms-otp bulk` as a process to its end. */
export async function bulkToItsEnd({ file, env }: { file: string; env: Record<string, string> }) {
  const running: GatewayProcess = runCommand(['bulk', file, '--json'], env);
  await new Promise((resolve) => running.child.once('close', resolve));
  return { code: await running.end(), output: running.output };
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterFile } from '../../support/clean-up.js';
import { phpOptions } from './run-php.js';

/** Runs `php -S` with a script at this port until the file's tests are over; resolves with its address. */
export async function startPhpServer(
  script: string,
  { port, cwd = '.', env }: { port: number; cwd?: string; env: Record<string, string> },
): Promise<string> {
  const child = spawn('php', [...phpOptions, '-S', `127.0.0.1:${port}`, script], {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  afterFile(() => void child.kill());
  // Its first line tells that it listens.
  await once(child.stderr, 'data');
  child.stderr.resume();
  return `http://127.0.0.1:${port}`;
}

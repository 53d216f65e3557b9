import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { Simulator } from 'isms-2fa-simulator';
import { encryptionKey, sleep } from './otps.js';

export const account = { username: 'tester', password: 'a-password-for-tests' };

/** A real process of the gateway. */
export interface GatewayProcess {
  child: ChildProcess;
  /** Everything it has written so far, to both streams. */
  readonly output: string;
  signal(name: NodeJS.Signals): void;
  /** Sends the signal and resolves with the exit code, or the signal's name, once it is gone. */
  end(name?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

/** Runs `node dist/isms-otp.js <command>` with nothing of this environment but its PATH. */
export function runCommand(
  command: string | string[],
  env: Record<string, string>,
  cwd = '.',
): GatewayProcess {
  const child = spawn(process.execPath, [resolve('dist/isms-otp.js'), ...[command].flat()], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const exited = once(child, 'exit');
  return {
    child,
    get output() {
      return output;
    },
    signal: (name) => void child.kill(name),
    end: async (name = 'SIGKILL') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(name);
      await exited;
      return child.exitCode ?? child.signalCode;
    },
  };
}

/** Waits until the process has written something that matches; throws with what it wrote after a minute. */
export async function written(running: GatewayProcess, pattern: RegExp): Promise<RegExpExecArray> {
  for (let i = 0; i < 2_400; i++) {
    const match = pattern.exec(running.output);
    if (match) return match;
    await sleep(25);
  }
  throw new Error(`nothing like ${pattern} in: ${running.output}`);
}

/** The environment that a worker or an API needs, for a Redis and a simulator at hand. */
export function gatewayEnvironment(
  redisUrl: string,
  simulator: Pick<Simulator, 'endpoint'>,
): Record<string, string> {
  return {
    REDIS_URL: redisUrl,
    ENCRYPTION_KEYS: encryptionKey.toString('base64'),
    ISMS_URL: simulator.endpoint,
    ISMS_USERNAME: account.username,
    ISMS_PASSWORD: account.password,
    LOG_LEVEL: 'warn',
  };
}

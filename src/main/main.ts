import { terminalUsage } from '../cli/terminal.js';
import { ConfigError } from '../config/config-error.js';
import { withTimeout } from '../lib/with-timeout.js';
import { isConfigCommand, runConfigCommand } from './config-commands.js';
import { load } from './load.js';
import { isOperatorCommand } from './operator-commands.js';
import type { CommandOutput } from './output.js';
import { createParts, type Parts, type Running } from './running.js';
import { finishOnSignal } from './signals.js';

const usage = `usage: isms-otp <command>

  api            the HTTP API
  worker         one worker process
  simulate       the iSMS simulator
  start          all of it on this machine, with a Redis of its own

  check-config   what the environment means, or every mistake in it
  doctor         what is wrong with Redis, iSMS, clocks and settings as seen from here, and what to do about it
  apps check     what APPS_FILE means, or every mistake in it
  keys new <app>                 make an API key and its digest
  unlock <app> <phone number>    forget the limits and wrong codes of a number
  ranges                         number ranges that the toll-fraud guard limits
  forget-range <app> <range>     undo what it decided about one
  resend-webhooks                deliver again what was given up
  restored                       Redis came back from a backup: what waits in it may have been sent since
  person <phone number>          everything kept about a person, as NDJSON
  erase <phone number>           erase it (PDPA)
  audit <since> <until>          who did what, as NDJSON; dates such as 2026-11-25

Used from a terminal (docs/command-line.md):
${terminalUsage}

Settings come from the environment: docs/configuration.md. --json makes programs understand any answer.`;

/** What a process that failed may still need to close what works, in ms. */
const failWithinMs = 5_000;

type Environment = Record<string, string | undefined>;

/**
 * Runs one command until it ends or is told to end, and closes `tracing` last. Sets the exit code: 0, or 1 with one clear
 * line why not.
 */
export async function main(
  [command = '', ...rest]: string[],
  env: Environment,
  tracing: Running | null = null,
): Promise<void> {
  process.stdout.on('error', endWithReader);
  try {
    const json = rest.includes('--json');
    const args = rest.filter((arg) => arg !== '--json');
    const say = ({ text, data }: CommandOutput) => print(json ? JSON.stringify(data) : text);
    if (isOperatorCommand(command)) {
      const { operate } = await import('./operate.js');
      for await (const one of operate(command, args, load(env, command))) say(one);
      return;
    }
    if (isConfigCommand(command)) return await runConfigCommand(command, args, { env, say });
    if (args.length > 0) throw new ConfigError([{ variable: args.join(' '), problem: 'is not understood' }]);
    await run(command, env, tracing);
  } catch (error) {
    fail(error);
  }
}

/** What a command does not need is not imported: whoever typed one waits a second less. */
async function run(command: string, env: Environment, tracing: Running | null): Promise<void> {
  const untilSignal = (startParts: (parts: Parts) => Promise<void>) => runUntilSignal(startParts, tracing);
  switch (command) {
    case 'api':
      return await untilSignal(async (parts) => {
        const config = load(env, command);
        const { runApi, startTelemetry } = await import('./processes.js');
        await runApi(config, await startTelemetry(command, config, parts), parts);
      });
    case 'worker':
      return await untilSignal(async (parts) => {
        const config = load(env, command);
        const { runWorker, startTelemetry } = await import('./processes.js');
        await runWorker(config, await startTelemetry(command, config, parts), parts);
      });
    case 'simulate':
      return await untilSignal(async (parts) => {
        const config = load(env, command);
        const { createLogger, runSimulator } = await import('./processes.js');
        await runSimulator(config, createLogger({ level: config.logLevel, role: command }), parts);
      });
    case 'start':
      return await untilSignal(async (parts) => {
        const { start } = await import('./processes.js');
        await start(env, parts);
      });
    case 'help':
    case '--help':
      return print(usage);
    default:
      throw new Error(`${command ? `unknown command "${command}"` : 'no command given'}\n\n${usage}`);
  }
}

/** The first signal, even during the start, lets everything finish; a second one does not wait any more. */
async function runUntilSignal(
  startParts: (parts: Parts) => Promise<void>,
  tracing: Running | null,
): Promise<void> {
  let stopping = false;
  const failed = () => {
    stopping = true;
    withTimeout(parts.close(), failWithinMs).then(exitFailed, exitFailed);
  };
  const parts = createParts(failed);
  if (tracing) parts.add(tracing);
  const stop = () => {
    if (stopping) process.exit(1);
    stopping = true;
    parts.close().then(() => process.exit(0), fail);
  };
  finishOnSignal(stop);
  process.on('SIGHUP', () => {
    if (!parts.hangUp()) stop();
  });
  try {
    await startParts(parts);
  } catch (error) {
    if (stopping) return;
    await parts.close().catch(() => {});
    throw error;
  }
}

/** Whoever read the output, such as `head`, has seen enough. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}

const exitFailed = () => process.exit(1);

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(error: unknown): void {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && error.code === 'EADDRINUSE' && 'port' in error) {
    return `Port ${error.port} is taken by another process. Set PORT to a free one.`;
  }
  return error.message;
}

import { runTerminal } from '../cli/terminal.js';

type Environment = Record<string, string | undefined>;

/** The commands that run or look after a gateway, as completion offers them. */
const otherCommands = [
  ...['api', 'worker', 'simulate', 'start', 'check-config', 'doctor', 'apps', 'keys', 'unlock', 'ranges'],
  ...['forget-range', 'resend-webhooks', 'restored', 'person', 'erase', 'audit', 'help'],
].map((name) => ({ name, flags: ['--json'] }));

/** Runs a command that uses a gateway from this terminal; the first signal lets it end, a second one does not wait. */
export async function runCommand([command = '', ...args]: string[], env: Environment): Promise<void> {
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort());
  const { stdin, stdout, stderr } = process;
  // Whoever read the output, such as `head`, has seen enough.
  stdout.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : 1));
  const io = { env, stdin, stdout, stderr, signal: stopping.signal, commands: otherCommands };
  process.exitCode = await runTerminal(command, args, io);
}

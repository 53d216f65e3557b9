#!/usr/bin/env node
import { debuglog } from 'node:util';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`isms-otp needs Node 22.19 or newer; this is ${process.version}.\n`);
  process.exit(1);
}
// With the first three undici prints URLs with password, number and code; the last prints environments.
if (['undici', 'fetch', 'websocket', 'child_process'].some((name) => debuglog(name).enabled)) {
  process.stderr.write(
    'NODE_DEBUG must not name undici, fetch, websocket or child_process: they print passwords and codes.\n',
  );
  process.exit(1);
}
// ioredis and express print passwords, references and ids through DEBUG.
if (/\*|ioredis|router|express/.test(process.env['DEBUG'] ?? '')) {
  process.stderr.write('DEBUG must not name ioredis, express or router: they print passwords and paths.\n');
  process.exit(1);
}
// Half of these threads resolve names: of four, two hanging name servers would stop all lookups. Node 22 may have begun
// them already; the image and the systemd units set it, too.
process.env['UV_THREADPOOL_SIZE'] ??= '16';
// Makes V8 collect old objects sooner: an upload of a million lines needed 180 MB instead of 250 MB (measured on Node 20).
setFlagsFromString('--heap-growing-percent=100');
// Keeps the space for new objects small while modules load: an idle process needs 15 to 30 MB less (measured).
setFlagsFromString('--semi-space-growth-factor=1');
setTimeout(growUnderLoad, 2_000).unref();

const { runCommandLine } = await import('./main/commands.js');
const { env, stdin, stdout, stderr } = process;
// A reader such as `head` may close the pipe early.
stdout.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : 1));
/** The first signal lets the command end; a second one ends the process. */
const stopSignal = () => {
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort());
  return stopping.signal;
};
const exitCode = await runCommandLine(process.argv.slice(2), { env, stdin, stdout, stderr, stopSignal });
/**
 * Lets the space for new objects grow under load, to 64 MB. With 16 MB an API takes a fifth more CPU, and 50 MB less in a
 * long upload; V8 itself goes to 128 MB (measured on Node 24).
 */
function growUnderLoad() {
  setFlagsFromString('--semi-space-growth-factor=2');
  const check = setInterval(() => {
    const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    if ((space?.space_size ?? 0) < 64 * 1_048_576) return;
    setFlagsFromString('--semi-space-growth-factor=1');
    clearInterval(check);
  }, 100).unref();
}

// A process that failed must not be held by what it left open.
if (exitCode !== 0) process.exit(exitCode);

#!/usr/bin/env node
import { debuglog } from 'node:util';
import { setFlagsFromString } from 'node:v8';

// undici looks at NODE_DEBUG while it is imported, and would print whole URLs: password, number and code.
if (debuglog('undici').enabled || debuglog('fetch').enabled) {
  process.stderr.write(
    'NODE_DEBUG must not name undici or fetch: they print the iSMS password and OTP codes.\n',
  );
  process.exit(1);
}
// ioredis and express print through DEBUG: passwords, references, ids.
if (/\*|ioredis|router|express/.test(process.env['DEBUG'] ?? '')) {
  process.stderr.write('DEBUG must not name ioredis, express or router: they print passwords and paths.\n');
  process.exit(1);
}
// V8 lets what has grown old pile up to several times of what is in use before it looks: an upload of a million lines
// took 250 MB at its most, and takes 180 so, as fast as before (measured).
setFlagsFromString('--heap-growing-percent=100');
const args = process.argv.slice(2);
const { isTerminalCommand } = await import('./cli/terminal.js');
if (isTerminalCommand(args[0] ?? '')) {
  // Nothing of the gateway is imported for these: a second less to wait for whoever typed one.
  const { runCommand } = await import('./main/run-command.js');
  await runCommand(args, process.env);
} else {
  const { endAtOnceOnSignal } = await import('./main/signals.js');
  endAtOnceOnSignal();
  // What is traced is imported once tracing has begun.
  const { traceIfAsked } = await import('./main/tracing.js');
  const tracing = await traceIfAsked(args[0] ?? '', process.env);
  const { main } = await import('./main/main.js');
  await main(args, process.env, tracing);
}

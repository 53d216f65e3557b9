// Runs everything as `npm start` does; when a source changes, builds it and runs it anew.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';

// Editors write a file in several steps.
const quietMs = 100;

const start = () => spawn(process.execPath, ['dist/isms-otp.js', 'start'], { stdio: 'inherit' });

let running = start();
let pending = Promise.resolve();
let timer;

async function stop() {
  if (running.exitCode === null && running.kill()) await once(running, 'exit');
}

async function restart() {
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
  // A build that fails leaves the last good one running.
  if (status !== 0) return;
  await stop();
  running = start();
}

for (const sources of ['src', 'packages/client/src', 'packages/simulator/src']) {
  watch(sources, { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      pending = pending.then(restart);
    }, quietMs);
  });
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await stop();
    process.exit();
  });
}

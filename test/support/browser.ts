import { spawnSync } from 'node:child_process';
import { type Browser, chromium } from 'playwright-core';

const commands = ['chromium', 'chromium-browser', 'google-chrome'];

/** A real Chromium of this machine, without a window. */
export async function startBrowser(): Promise<Browser> {
  const paths = commands.map(
    (command) => spawnSync('sh', ['-c', `command -v ${command}`], { encoding: 'utf8' }).stdout,
  );
  const executablePath = paths.map((path) => path.trim()).find((path) => path !== '');
  if (!executablePath) throw new Error('no Chromium here: scripts/setup.sh installs one');
  // Its sandbox needs rights that a container does not give.
  return await chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

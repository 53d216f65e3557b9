import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from './support/redis-server.js';

const run = promisify(execFile);
const oldNode = resolve('.node/20/node_modules/.bin');
/** Without what npm adds for scripts. */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));

beforeAll(async () => {
  await run('sh', ['scripts/install-node.sh', '20']);
}, 240_000);

/** A small package with the scripts of this one; `test:unit` prints the version of Node that it finds. */
async function createPackage() {
  const root = mkdtempSync(join(tmpdir(), 'set-up-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  cpSync('scripts', join(root, 'scripts'), { recursive: true });
  for (const folder of ['src', 'packages/client/src', 'packages/simulator/src']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  const built = ['dist', 'packages/client/dist', 'packages/simulator/dist'];
  const write = (name: string, value: unknown) => writeFileSync(join(root, name), JSON.stringify(value));
  const writeManifest = (description: string) =>
    write('package.json', {
      ...{ name: 'small', version: '1.0.0', description, workspaces: ['packages/*'] },
      scripts: {
        'test:unit': 'sh scripts/setup.sh && node --version',
        build: `mkdir -p ${built.join(' ')} && touch dist/isms-otp.js packages/client/dist/index.js packages/simulator/dist/index.js`,
      },
    });
  writeManifest('first');
  for (const name of ['client', 'simulator']) {
    write(`packages/${name}/package.json`, { name, version: '1.0.0' });
  }
  write('tsconfig.json', {});
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund'], { cwd: root });
  return { root, writeManifest };
}

/** Runs `npm run test:unit` with this Node first on the PATH; resolves with the lines that it prints. */
async function runScript(root: string, node: string, settings: NodeJS.ProcessEnv = {}) {
  const env = { ...environment, PATH: `${node}:${environment['PATH']}`, ...settings };
  const { stdout } = await run('npm', ['run', '--silent', 'test:unit'], { cwd: root, env });
  return stdout.trim().split('\n');
}

describe('npm scripts under a Node that is too old', () => {
  it('install a current one once, and find it also after npm ci', { timeout: 240_000 }, async () => {
    const { root, writeManifest } = await createPackage();

    const first = await runScript(root, oldNode);
    expect(first[0]).toMatch(/^Node 22\.19 or newer is needed; this is v20\./);
    expect(first[1]).toMatch(/^Installing Node 24 /);
    expect(first.at(-1)).toMatch(/^v24\./);

    expect(await runScript(root, oldNode)).toEqual([first.at(-1)]);

    writeManifest('second');
    const third = await runScript(root, oldNode);
    expect(third[0]).toBe('Installing the npm packages (npm ci) …');
    expect(third.at(-1)).toBe(first.at(-1));
    expect(third.join()).not.toContain('Installing Node');
  });

  it('say what to do when npm has no connection', { timeout: 240_000 }, async () => {
    const { root } = await createPackage();
    const offline = {
      npm_config_registry: `http://127.0.0.1:${await freePort()}`,
      npm_config_fetch_retries: '0',
      npm_config_cache: join(root, 'cache'),
    };
    await expect(runScript(root, oldNode, offline)).rejects.toMatchObject({
      stderr: expect.stringMatching(/ECONNREFUSED[\s\S]*Node 24 could not be installed from npm\. Check the/),
    });
    expect(existsSync(join(root, '.node/24'))).toBe(false);
  });
});

it('npm scripts use the Node of the machine when it is new enough', { timeout: 240_000 }, async () => {
  const { root } = await createPackage();
  const lines = await runScript(root, dirname(process.execPath));
  expect(lines.at(-1)).toBe(process.version);
  expect(lines.join()).not.toContain('Installing Node');
  expect(existsSync(join(root, '.node'))).toBe(false);

  // Not one that other commands brought.
  cpSync('.node/20', join(root, '.node/24'), { recursive: true });
  expect(await runScript(root, dirname(process.execPath))).toEqual([process.version]);
});

it('isms-otp names the version of Node that it needs, in one line', async () => {
  const started = run(join(oldNode, 'node'), ['dist/isms-otp.js', '--help']);
  await expect(started).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^isms-otp needs Node 22\.19 or newer; this is v20\.[\d.]+\.\n$/),
  });
});

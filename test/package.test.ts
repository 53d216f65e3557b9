import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFullGateway } from './support/full-gateway.js';
import { connect, databaseUrl } from './support/redis.js';
import { freePort } from './support/redis-server.js';

const run = promisify(execFile);
await connect();
const gateway = await startFullGateway({ LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0' });
const directory = mkdtempSync(join(tmpdir(), 'packages-'));
const tarballs = { gateway: '', client: '', simulator: '' };
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await gateway.close();
}, 240_000);

/** Packs what npm would publish. */
async function pack(folder: string, ...options: string[]): Promise<string> {
  const args = ['pack', '--json', '--pack-destination', directory, ...options];
  const { stdout } = await run('npm', args, { cwd: folder });
  const packed = JSON.parse(stdout) as { filename: string }[] | Record<string, { filename: string }>;
  return join(directory, Object.values(packed)[0]?.filename ?? '');
}

beforeAll(async () => {
  // Without the gateway's sources and without a build: packing a package has to build it, from its own files.
  const copy = join(directory, 'copy');
  for (const file of ['tsconfig.json', 'packages']) {
    cpSync(file, join(copy, file), { recursive: true, filter: (path) => basename(path) !== 'dist' });
  }
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'));
  tarballs.client = await pack(join(copy, 'packages/client'));
  tarballs.simulator = await pack(join(copy, 'packages/simulator'));
  tarballs.gateway = await pack('.', '--ignore-scripts');
}, 240_000);

/** An empty project with these packages installed. */
async function install(name: string, ...packages: string[]): Promise<string> {
  const project = join(directory, name);
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name, type: 'module', private: true }));
  const options = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts'];
  await run('npm', ['install', ...options, ...packages], { cwd: project });
  return project;
}

/** Runs a module of the project; resolves with what it prints. */
async function runModule(project: string, source: string): Promise<string> {
  writeFileSync(join(project, 'module.js'), source);
  const env = {
    PATH: process.env['PATH'],
    OTP_URL: gateway.url,
    OTP_KEY: gateway.key,
    ...gateway.environment,
  };
  const { stdout } = await run(process.execPath, ['module.js'], { cwd: project, env });
  return stdout.trim();
}

/** Compiles a module of the project, strictly; resolves with the compiler's errors. */
async function compile(project: string, source: string, types: string[] = []): Promise<string> {
  writeFileSync(join(project, 'module.ts'), source);
  const options = {
    noEmit: true,
    strict: true,
    target: 'es2022',
    module: 'nodenext',
    types,
    typeRoots: [resolve('node_modules/@types')],
    lib: ['es2022', 'dom', 'dom.iterable', 'dom.asynciterable'],
  };
  const config = { compilerOptions: options, files: ['module.ts'] };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config));
  return await run(resolve('node_modules/.bin/tsc'), [], { cwd: project }).then(
    () => '',
    ({ stdout }: { stdout: string }) => stdout,
  );
}

async function filesOf(tarball: string): Promise<string[]> {
  const { stdout } = await run('tar', ['tzf', tarball]);
  return stdout.trim().split('\n');
}

/** Expects one installed package of at most so many bytes. */
function expectAlone(project: string, name: string, bytesAtMost: number): void {
  const modules = join(project, 'node_modules');
  expect(readdirSync(modules).filter((file) => !file.startsWith('.'))).toEqual([name]);
  const files = readdirSync(join(modules, name), { recursive: true, encoding: 'utf8' });
  const sizes = files.map((file) => statSync(join(modules, name, file))).filter((stats) => stats.isFile());
  const bytes = sizes.reduce((sum, { size }) => sum + size, 0);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThanOrEqual(bytesAtMost);
}

describe.each(['client', 'simulator', 'gateway'] as const)('the package of the %s', (name) => {
  it('passes publint and arethetypeswrong', { timeout: 120_000 }, async () => {
    const { stdout } = await run('npx', ['publint', 'run', tarballs[name], '--strict']);
    expect(stdout).toContain('All good!');
    // ESM alone: CommonJS requires it as supported versions of Node do.
    const args = ['attw', tarballs[name], '--exclude-entrypoints', 'apps.schema.json', '--profile'];
    await run('npx', [...args, 'esm-only']);
    await expect(run('npx', [...args, 'strict'])).rejects.toThrow();
  });

  it('holds no sources, tests or secrets', async () => {
    const allowed = /^package\/(dist\/|docs\/apps\.schema\.json|package\.json|README\.md|LICENSE)/;
    const files = await filesOf(tarballs[name]);
    expect(files.filter((file) => !allowed.test(file))).toEqual([]);
    for (const file of ['README.md', 'LICENSE']) expect(files).toContain(`package/${file}`);
  });
});

describe('isms-otp-client, installed alone', () => {
  let project = '';
  beforeAll(async () => {
    project = await install('with-client', tarballs.client);
  }, 120_000);

  it('brings no other package, takes at most 100 kB, and holds no zod type', () => {
    expectAlone(project, 'isms-otp-client', 100_000);
    const types = readdirSync(join(project, 'node_modules/isms-otp-client/dist')).filter((file) =>
      file.endsWith('.d.ts'),
    );
    expect(types.length).toBeGreaterThan(10);
    for (const file of types) {
      const text = readFileSync(join(project, 'node_modules/isms-otp-client/dist', file), 'utf8');
      expect([file, /zod/i.test(text)]).toEqual([file, false]);
    }
  });

  it('sends and verifies', async () => {
    const client = `import { OtpClient } from 'isms-otp-client';
       const otps = new OtpClient({ baseUrl: process.env.OTP_URL, apiKey: process.env.OTP_KEY });`;
    const sent = await runModule(
      project,
      `${client} const { id, status } = await otps.send({ to: '+60123456701' }, { waitSeconds: 10 });
       console.log(JSON.stringify({ id, status }));`,
    );
    const { id, status } = JSON.parse(sent) as Record<string, string>;
    expect(status).toBe('sent');
    const code = gateway.codeOf('+60123456701');
    const verified = await runModule(
      project,
      `${client} console.log((await otps.verify('${id}', '${code}')).status);`,
    );
    expect(verified).toBe('verified');
  });

  it('has types that a strict project compiles against, and that reject mistakes', async () => {
    const client = `import { OtpClient, isOtpError } from 'isms-otp-client';
      const otps = new OtpClient({ baseUrl: 'https://otp.example', apiKey: 'x' });`;
    const good = `${client} const otp = await otps.send({ to: '1' }); otp.status satisfies string; export {};`;
    expect(await compile(project, good)).toBe('');
    const wrongMember = `${client} await otps.send({ number: '1' }); export {};`;
    expect(await compile(project, wrongMember)).toContain("'number' does not exist");
    const wrongCode = `${client} try { } catch (e) { if (isOtpError(e, 'no_such_code')) throw e; } export {};`;
    expect(await compile(project, wrongCode)).toContain('no_such_code');
  });
});

describe('isms-2fa-simulator, installed alone', () => {
  let project = '';
  beforeAll(async () => {
    project = await install('with-simulator', tarballs.simulator);
  }, 120_000);

  it('brings no other package and takes less than 120 kB', () => {
    expectAlone(project, 'isms-2fa-simulator', 120_000);
  });

  it('starts by its command, says why it cannot, and ends with a signal', async () => {
    const port = await freePort();
    const env = { PATH: process.env['PATH'], PORT: String(port) };
    const bin = join(project, 'node_modules/.bin/isms-2fa-simulator');
    const fails = (args: string[], wrong: object) =>
      expect(run(bin, args, { env: { ...env, ...wrong } })).rejects;
    expect((await run(bin, ['--help'])).stdout).toMatch(/^usage: isms-2fa-simulator/);
    await fails(['--port'], {}).toMatchObject({ code: 1, stderr: 'Unknown argument: --port. See --help.\n' });
    await fails([], { PORT: '99999' }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^PORT must be/),
    });
    const child = spawn(bin, [], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [line] = await once(child.stdout, 'data');
      expect(String(line)).toContain(`http://127.0.0.1:${port}/2FA/request.php`);
      expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain('iSMS simulator');
      const stderr = `Port ${port} is already in use. Set PORT to a free one.\n`;
      await fails([], {}).toMatchObject({ code: 1, stderr });
    } finally {
      child.kill();
    }
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('starts in a test', async () => {
    const printed = await runModule(
      project,
      `import { startSimulator } from 'isms-2fa-simulator';
       const simulator = await startSimulator({ settings: { credits: 100 } });
       const query = 'un=a&pass=b&country_code=60&mobile=123456789&type=1&message=Code+%25OTP%25';
       const { code } = await (await fetch(simulator.endpoint + '?' + query)).json();
       console.log(simulator.lastCode('+60123456789') === code);
       await simulator.close();`,
    );
    expect(printed).toBe('true');
  });

  it('has types that a strict project compiles against, and that reject mistakes', async () => {
    const start = (settings: string) =>
      `import { failureNumbers, startSimulator } from 'isms-2fa-simulator';
       const simulator = await startSimulator({ port: 0, settings: ${settings} });
       simulator.lastCode(failureNumbers.slow) satisfies string | undefined; export {};`;
    expect(await compile(project, start("{ credits: 1, trouble: 'ip_not_allowed' }"), ['node'])).toBe('');
    expect(await compile(project, start("{ trouble: 'no_such_trouble' }"), ['node'])).toContain(
      'no_such_trouble',
    );
  });
});

describe('isms-otp-gateway, installed with both', () => {
  let project = '';
  beforeAll(async () => {
    project = await install('with-gateway', ...Object.values(tarballs));
  }, 240_000);

  it('holds its Lua functions and its browser scripts', async () => {
    const files = await filesOf(tarballs.gateway);
    const own = ['isms-otp.js', 'store/lua/otp/admit.lua', 'api/admin/browser/overview.js'];
    const ofDocs = ['browser/page.css', 'swagger-ui/swagger-ui-bundle.js', 'swagger-ui/swagger-ui.css'];
    for (const file of [...own, ...ofDocs.map((name) => `api/docs/${name}`)]) {
      expect(files).toContain(`package/dist/${file}`);
    }
  });

  it('gives an app a producer that enqueues into Redis', async () => {
    const printed = await runModule(
      project,
      `import { createOtpProducer } from 'isms-otp-gateway';
       const producer = createOtpProducer({ app: 'shop', env: process.env });
       console.log((await producer.send({ to: '+60123456702' })).kind);
       await producer.close();`,
    );
    expect(printed).toBe('created');
    await expect.poll(() => gateway.codeOf('+60123456702'), { timeout: 10_000 }).toMatch(/^\d{6}$/);
  });

  it('brings the command line', { timeout: 120_000 }, async () => {
    const bin = join(project, 'node_modules/.bin/isms-otp');
    expect((await run(bin, ['--help'])).stdout).toMatch(/^Usage: isms-otp/);
    const env = { PATH: process.env['PATH'], ISMS_OTP_URL: gateway.url, ISMS_OTP_KEY: gateway.key };
    const { stdout } = await run(bin, ['send', '+60123456703', '--json'], { env });
    expect(JSON.parse(stdout)).toMatchObject({ status: 'sent' });
    const { stdout: config } = await run(bin, ['config', 'validate', 'start'], {
      env: { ...env, REDIS_URL: databaseUrl() },
    });
    expect(config).toContain('MAX_SEND_RETRIES');
  });
});

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFullGateway } from './support/full-gateway.js';
import { connect, databaseUrl } from './support/redis.js';

const run = promisify(execFile);
await connect();
const gateway = await startFullGateway({ LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0' });
const project = mkdtempSync(join(tmpdir(), 'package-'));
let tarball = '';
afterAll(async () => {
  rmSync(project, { recursive: true });
  await gateway.close();
});

/** What npm would publish, installed into an empty project. */
beforeAll(async () => {
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project]);
  const packed = JSON.parse(stdout) as { filename: string }[] | Record<string, { filename: string }>;
  tarball = join(project, Object.values(packed)[0]?.filename ?? '');
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'an-app', type: 'module', private: true }),
  );
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', tarball], {
    cwd: project,
  });
}, 240_000);

/** A module of that project, run by Node. */
async function app(name: string, source: string): Promise<string> {
  writeFileSync(join(project, name), source);
  const env = {
    PATH: process.env['PATH'],
    OTP_URL: gateway.url,
    OTP_KEY: gateway.key,
    ...gateway.environment,
  };
  const { stdout } = await run(process.execPath, [name], { cwd: project, env });
  return stdout.trim();
}

describe('the package', () => {
  it('is one that publint and attw find nothing wrong with', { timeout: 120_000 }, async () => {
    const { stdout } = await run('npx', ['publint', 'run', tarball, '--strict']);
    expect(stdout).toContain('All good!');
    // ESM alone: CommonJS requires it as Node 20.19 and newer do.
    const args = ['attw', tarball, '--exclude-entrypoints', 'apps.schema.json', '--profile'];
    await run('npx', [...args, 'esm-only']);
    await expect(run('npx', [...args, 'strict'])).rejects.toThrow();
  });

  it('holds what it needs and no sources, tests or secrets', async () => {
    const { stdout } = await run('tar', ['tzf', tarball]);
    const files = stdout.trim().split('\n');
    expect(
      files.filter(
        (file) => !/^package\/(dist\/|docs\/apps\.schema\.json|package\.json|README\.md|LICENSE)/.test(file),
      ),
    ).toEqual([]);
    for (const file of [
      'dist/cli.js',
      'dist/client/index.js',
      'dist/client/index.d.ts',
      'dist/store/lua/otp/admit.lua',
      'dist/api/admin/browser/overview.js',
    ]) {
      expect(files).toContain(`package/${file}`);
    }
  });

  it('gives an app a client that sends and verifies', async () => {
    const sent = await app(
      'send.js',
      `import { OtpClient } from 'isms-otp-gateway/client';
       const otps = new OtpClient({ baseUrl: process.env.OTP_URL, apiKey: process.env.OTP_KEY });
       const { id, status } = await otps.send({ to: '+60123456701' }, { waitSeconds: 10 });
       console.log(JSON.stringify({ id, status }));`,
    );
    const { id, status } = JSON.parse(sent) as Record<string, string>;
    expect(status).toBe('sent');
    const code = gateway.codeOf('+60123456701');
    const verified = await app(
      'verify.js',
      `import { OtpClient } from 'isms-otp-gateway/client';
       const otps = new OtpClient({ baseUrl: process.env.OTP_URL, apiKey: process.env.OTP_KEY });
       console.log((await otps.verify('${id}', '${code}')).status);`,
    );
    expect(verified).toBe('verified');
  });

  it('gives an app a producer that enqueues into Redis', async () => {
    const said = await app(
      'produce.js',
      `import { createOtpProducer } from 'isms-otp-gateway';
       const producer = createOtpProducer({ app: 'shop', env: process.env });
       console.log((await producer.send({ to: '+60123456702' })).accepted);
       await producer.close();`,
    );
    expect(said).toBe('true');
    await expect.poll(() => gateway.codeOf('+60123456702'), { timeout: 10_000 }).toMatch(/^\d{6}$/);
  });

  it('brings the command line', async () => {
    const bin = join(project, 'node_modules/.bin/isms-otp');
    expect((await run(bin, ['--help'])).stdout).toMatch(/^usage: isms-otp/);
    const env = { PATH: process.env['PATH'], ISMS_OTP_URL: gateway.url, ISMS_OTP_KEY: gateway.key };
    const { stdout } = await run(bin, ['send', '+60123456703', '--json'], { env });
    expect(JSON.parse(stdout)).toMatchObject({ status: 'sent' });
    const { stdout: config } = await run(bin, ['check-config'], {
      env: { ...env, REDIS_URL: databaseUrl() },
    });
    expect(config).toContain('MAX_SEND_RETRIES');
  });

  it('brings types that a strict project compiles against, and that refuse what is wrong', {
    timeout: 60_000,
  }, async () => {
    const compile = async (source: string) => {
      writeFileSync(join(project, 'app.ts'), source);
      const args = [
        '--ignoreConfig',
        '--noEmit',
        '--strict',
        '--target',
        'es2022',
        '--module',
        'nodenext',
        '--types',
        '',
        '--lib',
        'es2022,dom,dom.iterable,dom.asynciterable',
        'app.ts',
      ];
      return await run(resolve('node_modules/.bin/tsc'), args, { cwd: project }).then(
        () => '',
        ({ stdout }: { stdout: string }) => stdout,
      );
    };
    const client = `import { OtpClient, isOtpError } from 'isms-otp-gateway/client';
      const otps = new OtpClient({ baseUrl: 'https://otp.example', apiKey: 'x' });`;
    expect(
      await compile(
        `${client} const otp = await otps.send({ to: '1' }); otp.status satisfies string; export {};`,
      ),
    ).toBe('');
    expect(await compile(`${client} await otps.send({ number: '1' }); export {};`)).toContain(
      "'number' does not exist",
    );
    expect(
      await compile(`${client} try { } catch (e) { if (isOtpError(e, 'no_such_code')) throw e; } export {};`),
    ).toContain('no_such_code');
  });
});

import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** Another project, with nothing but the client in it, as it is published. */
const project = mkdtempSync(join(tmpdir(), 'edge-'));
const installed = join(project, 'node_modules/isms-otp-client');
const run = (...args: string[]) => spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8' });
const tsc = (...args: string[]) => run(resolve('node_modules/typescript/bin/tsc'), ...args);

beforeAll(() => {
  mkdirSync(installed, { recursive: true });
  expect(tsc('-p', resolve('packages/client'), '--outDir', join(installed, 'dist'))).toMatchObject({
    stdout: '',
  });
  copyFileSync('packages/client/package.json', join(installed, 'package.json'));
  writeFileSync(join(project, 'package.json'), '{"type":"module"}');
});
afterAll(() => rmSync(project, { recursive: true }));

describe('the published client', () => {
  it('imports nothing but its own files', () => {
    const built = readdirSync(join(installed, 'dist')).filter((name) => name.endsWith('.js'));
    expect(built).toContain('index.js');
    for (const name of built) {
      const code = readFileSync(join(installed, 'dist', name), 'utf8');
      const imported = [...code.matchAll(/\b(?:from|import|require)\s*\(?\s*['"]([^'"]+)['"]/g)];
      for (const [, from = ''] of imported) expect(from).toMatch(/^\.\/[a-z-]+\.js$/);
      expect(code).not.toMatch(/\b(?:import|require)\s*\(/);
    }
  });

  it('works without any API of Node', () => {
    writeFileSync(
      join(project, 'edge.js'),
      `const { exit } = process;
      const { log } = console;
      for (const name of ['process', 'Buffer', 'global', 'setImmediate', 'clearImmediate', 'navigator', 'module', 'require']) {
        delete globalThis[name];
        if (name in globalThis) throw new Error(name + ' is still there');
      }
      const { OtpClient, verifyWebhook } = await import('isms-otp-client');
      // Node's own Response needs Node.
      const answer = (status, body) => ({ status, headers: { get: () => null }, text: async () => body, body: streamOf(body) });
      const streamOf = (text) => new ReadableStream({
        start: (controller) => { controller.enqueue(new TextEncoder().encode(text)); controller.close(); },
      });
      const otp = { id: 'otp_1', status: 'sent' };
      const lines = '{"index":0,"id":"otp_1"}\\n{"summary":{"batchId":"b","accepted":1,"rejected":0}}\\n';
      const answers = [
        async () => answer(202, JSON.stringify(otp)),
        async () => { throw new TypeError('lost'); },
        async () => answer(200, JSON.stringify({ ...otp, status: 'verified', verifiedAt: 'now' })),
        async (_url, { body }) => {
          const { value } = await body.getReader().read();
          if (new TextDecoder().decode(value) !== '{"to":"1"}\\n') throw new Error('another body');
          return answer(202, lines);
        },
      ];
      const client = new OtpClient({ baseUrl: 'https://otp.example', apiKey: 'k', fetch: (...call) => answers.shift()(...call) });
      await client.send({ to: '1' });
      await client.verify('otp_1', '123456');
      await client.sendMany([{ to: '1' }]);
      const headers = { 'webhook-id': 'x', 'webhook-timestamp': String(Math.floor(Date.now() / 1000)), 'webhook-signature': 'v1,x' };
      const error = await verifyWebhook({ payload: '{}', headers, secret: 'whsec_c2VjcmV0' }).catch((reason) => reason);
      log(error.code);
      exit(0);`,
    );
    expect(run('edge.js')).toMatchObject({ stderr: '', stdout: 'wrong_signature\n', status: 0 });
  });

  it('has types that need no types of Node, and reject wrong calls', () => {
    writeFileSync(
      join(project, 'consumer.ts'),
      `import { isOtpError, OtpClient, type Otp, verifyWebhook } from 'isms-otp-client';
      const client = new OtpClient({ baseUrl: 'https://otp.example', apiKey: 'k', fetch });
      const otp: Otp = await client.send({ to: '1', ttlSeconds: 60 }, { waitSeconds: 5 });
      otp.status satisfies 'queued' | 'sending' | 'sent' | 'verified' | 'expired' | 'locked' | 'failed' | 'unknown' | 'cancelled';
      const seconds: number = await client.get('x').then(() => 0, (error: unknown) => isOtpError(error, 'otp_expired') ? error.status ?? 0 : 1);
      for await (const each of client.listBatch('x', { status: 'sent' })) each.index satisfies number;
      (await client.balance()).credits satisfies number;
      (await client.verify('x', '1')).verifiedAt satisfies string;
      (await client.getBatch('x')).counts.sent satisfies number;
      await client.sendMany(function* () { yield { to: '1' }; }, { onResult: (result) => { if ('code' in result) result.code satisfies string; } });
      export const handler = async (request: Request) => {
        const event = await verifyWebhook({ payload: await request.text(), headers: request.headers, secret: 's' });
        if (event.type === 'otp.failed') event.data.failure?.code satisfies string | undefined;
      };
      // @ts-expect-error an OTP goes to a number
      await client.send({ reference: 'x' });
      // @ts-expect-error there is no such member
      await client.send({ to: '1', recipient: 'x' });
      // @ts-expect-error there is no such code
      isOtpError(seconds, 'no_such_code');
      // @ts-expect-error there is no such status
      client.listBatch('x', { status: 'gone' });
      // @ts-expect-error credits are a number
      (await client.balance()).credits satisfies string;
      // @ts-expect-error a time is a text
      (await client.verify('x', '1')).verifiedAt satisfies number;
      // @ts-expect-error counts are numbers
      (await client.getBatch('x')).counts.sent satisfies string;
      // @ts-expect-error Node is not here
      process;`,
    );
    const strict = ['--strict', '--exactOptionalPropertyTypes'];
    const web = ['--target', 'es2023', '--lib', 'es2023,dom,dom.iterable', '--types', ''];
    const { stdout } = tsc(
      '--ignoreConfig',
      '--noEmit',
      '--module',
      'nodenext',
      ...web,
      ...strict,
      'consumer.ts',
    );
    expect(stdout).toBe('');
  });
});

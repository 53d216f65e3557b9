import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, it } from 'vitest';

/** A program as an app's developer has it open, beside the package's sources. */
const path = 'packages/client/test/hovered.ts';
const uri = pathToFileURL(path).href;
const text = `import { OtpClient } from '../src/index.js';
const otps = new OtpClient({ baseUrl: 'https://otp.example', apiKey: 'x' });
const otp = await otps.send({ to: '+60123456789', ttlSeconds: 60 });
console.log(otp.expiresAt);
`;

const tsc = createRequire(import.meta.url)
  .resolve('typescript/package.json')
  .replace('package.json', 'bin/tsc');
const server = spawn(process.execPath, [tsc, '--lsp', '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
afterAll(async () => {
  server.kill();
  await once(server, 'exit');
});

const answers = new Map<unknown, (result: unknown) => void>();
let received = Buffer.alloc(0);
server.stdout.on('data', (bytes: Buffer) => {
  received = Buffer.concat([received, bytes]);
  for (;;) {
    const head = received.indexOf('\r\n\r\n');
    const length = Number(
      /Content-Length: (\d+)/.exec(received.subarray(0, Math.max(head, 0)).toString())?.[1],
    );
    if (head < 0 || received.length < head + 4 + length) return;
    const message = JSON.parse(received.subarray(head + 4, head + 4 + length).toString());
    received = received.subarray(head + 4 + length);
    if ('method' in message && 'id' in message) send({ id: message.id, result: null });
    else answers.get(message.id)?.(message.result);
  }
});

function send(message: object): void {
  const json = JSON.stringify({ jsonrpc: '2.0', ...message });
  server.stdin.write(`Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`);
}

async function call(method: string, params: object): Promise<unknown> {
  const id = answers.size + 1;
  const answer = new Promise((resolve) => answers.set(id, resolve));
  send({ id, method, params });
  return await answer;
}

/** What an editor shows for the first such word of the program. */
async function hover(word: string): Promise<string> {
  const before = text.slice(0, text.indexOf(word)).split('\n');
  const position = { line: before.length - 1, character: before.at(-1)?.length };
  return JSON.stringify(await call('textDocument/hover', { textDocument: { uri }, position }));
}

it('an editor shows the API’s description of each member', async () => {
  await call('initialize', { processId: process.pid, rootUri: pathToFileURL('.').href, capabilities: {} });
  send({ method: 'initialized', params: {} });
  send({
    method: 'textDocument/didOpen',
    params: { textDocument: { uri, languageId: 'typescript', version: 1, text } },
  });
  expect(await hover('ttlSeconds')).toContain(
    'Seconds for which the code can be verified, from its send call.',
  );
  expect(await hover('expiresAt')).toContain(
    'Until when the code can be verified; null before the OTP is sent.',
  );
});

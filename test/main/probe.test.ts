import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { type Simulator, startSimulator } from 'isms-2fa-simulator';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Call } from '../../src/cli/call.js';
import { runCall } from '../../src/cli/call.js';
import { probeFacts } from '../../src/isms/probe-facts.js';
import { probe } from '../../src/main/probe.js';
import { run } from '../cli/run-terminal.js';
import { account } from '../support/processes.js';
import { freePort } from '../support/redis-server.js';

const number = '+60123456789';

let directory = '';
let simulator: Simulator;
/** How far the simulator's clock is ahead, in ms. */
let aheadMs = 0;
let transcript = '';

beforeEach(async () => {
  aheadMs = 0;
  directory = mkdtempSync(join(tmpdir(), 'probe-'));
  transcript = join(directory, 'transcript.txt');
  simulator = await startSimulator({ ...account, clock: () => Date.now() + aheadMs });
});
afterEach(async () => {
  await simulator.close();
  rmSync(directory, { recursive: true });
});

type Json = Record<string, unknown>;
interface Planted {
  status: number;
  body: string;
}
/** Rewrites a reply of the simulator; `query` is that of the call, with `post` for a POST. */
type Plant = (reply: Planted, query: Record<string, string>) => Partial<Planted>;

/** A proxy in front of the simulator that rewrites its replies; resolves with its endpoint. */
async function plantDifferences(plants: readonly Plant[]): Promise<string> {
  const server = createServer(async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const form = Buffer.concat(chunks).toString();
    const target = new URL(req.url ?? '', simulator.url);
    const query = Object.fromEntries(new URLSearchParams(form || target.search));
    const answered = await fetch(target, { method: req.method ?? 'GET', ...(form && { body: form }) });
    let reply = { status: answered.status, body: await answered.text() };
    for (const plant of plants) {
      reply = { ...reply, ...plant(reply, { ...query, ...(form && { post: 'yes' }) }) };
    }
    if (reply.status === 0) return void req.socket.resetAndDestroy();
    res.writeHead(reply.status, { 'content-type': 'application/json' }).end(reply.body);
  });
  const port = await freePort();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${port}/2FA/request.php`;
}

const change =
  (when: (json: Json, query: Record<string, string>) => boolean, members: (json: Json) => Json): Plant =>
  ({ body }, query) => {
    if (!body.startsWith('{')) return {};
    const json = JSON.parse(body) as Json;
    return when(json, query) ? { body: JSON.stringify({ ...json, ...members(json) }) } : {};
  };
const isBalance = (_: Json, { method, post }: Record<string, string>) => method === 'balance' && !post;
const isSend = (_: Json, { method }: Record<string, string>) => method === undefined;
const isWrong = ({ message }: Json) => message === 'Incorrect OTP Code';
let verified = 0;
const isRepeat = ({ status }: Json) => status === 'Verified' && ++verified === 2;

/** For each fact a difference that changes nothing else. */
const plants: Record<string, Plant> = {
  http_status: ({ body }) => (body.includes('Incorrect') ? { status: 403 } : {}),
  json_object: ({ body }, { method, uuid }) =>
    method === 'verify' && !uuid && body ? { body: '-1008' } : {},
  balance: change(isBalance, () => ({ balance: 'many' })),
  balance_strings: change(isBalance, ({ balance }) => ({ balance: Number(balance) })),
  expiration: change(isBalance, () => ({ expiration: '2027-01-31' })),
  balance_post: (_, { post }) =>
    post ? { status: 200, body: '{"method":"balance","balance":"81.0","expiration":"29 Apr 2027"}' } : {},
  send: change(isSend, () => ({ status: 'OK' })),
  sms_id: change(isSend, ({ sms_id }) => ({ sms_id: Number(sms_id) })),
  send_code: change(isSend, () => ({ code: undefined })),
  wrong_code: change(isWrong, () => ({ message: 'Cuba lagi' })),
  wrong_code_echo: change(isWrong, () => ({ code: simulator.lastCode(number) })),
  right_code: change(
    ({ status }) => status === 'Verified',
    () => ({ status: 'verified' }),
  ),
  repeated_code: change(isRepeat, () => ({ status: 'Failed', message: 'Already used' })),
  no_ids: change(
    (_, { method, uuid }) => method === 'verify' && !uuid,
    () => ({ status: 'Verified' }),
  ),
  expired_code: change(
    ({ message }) => message === 'OTP Code Expired',
    () => ({ message: 'Tamat' }),
  ),
};

interface Probed {
  code: number;
  out: string;
  err: string;
  found: { facts: { id: string; result: string; found: string | null; advice?: string }[] };
  transcript: string;
  /** The waits, in ms. */
  waits: number[];
}

/** Probes the endpoint; the waits move the simulator's clock. `rightCode`: what is written to the file of `--code`. */
async function probed(
  ISMS_URL: string,
  {
    rightCode = () => simulator.lastCode(number) ?? '',
    writtenCode = (sent) => `${sent}\n`,
    ...given
  }: {
    rightCode?: () => string;
    /** What the file holds after a wait of so many ms. */
    writtenCode?: (sent: string, ms: number) => string;
    to?: string;
    expired?: true;
    env?: object;
  } = {},
): Promise<Probed> {
  verified = 0;
  let [out, err] = ['', ''];
  const waits: number[] = [];
  const codeFile = join(directory, 'code');
  rmSync(codeFile, { force: true });
  rmSync(transcript, { force: true });
  const call: Call = {
    name: 'probe',
    json: true,
    url: undefined,
    signal: new AbortController().signal,
    env: { ISMS_URL, ISMS_USERNAME: account.username, ISMS_PASSWORD: account.password, ...given.env },
    stdin: Object.assign(Readable.from([]), { isTTY: false }),
    stdout: {
      write: (text) => {
        out += text;
      },
    },
    stderr: {
      write: (text) => {
        err += text;
      },
    },
  };
  const wait = async (ms: number) => {
    aheadMs += ms;
    waits.push(ms);
    const sent = rightCode();
    if (sent !== '') writeFileSync(codeFile, writtenCode(sent, ms));
  };
  const { expired } = given;
  const options = { code: codeFile, transcript, yes: true as const, ...(expired && { expired }) };
  const code = await runCall(call, (one) => probe(one, given.to ?? number, options, wait));
  const written = (() => {
    try {
      return readFileSync(transcript, 'utf8');
    } catch {
      return '';
    }
  })();
  return { code, out, err, found: out === '' ? { facts: [] } : JSON.parse(out), transcript: written, waits };
}

const different = ({ found }: Probed) =>
  found.facts.filter(({ result }) => result === 'different').map(({ id }) => id);

describe('probe of the simulator', () => {
  it('finds no difference, sends one SMS, and checks every fact', async () => {
    const ended = await probed(simulator.endpoint, { expired: true });
    expect(ended.found.facts.filter(({ result }) => result !== 'ok')).toEqual([]);
    expect(ended).toMatchObject({ code: 0, err: '' });
    expect(ended.found.facts.map(({ id }) => id)).toEqual(probeFacts.map(({ id }) => id));
    expect(simulator.state.calls).toMatchObject({ balance: 1, send: 1, verify: 5 });
    // A second before each call but the first, and a minute before the code is verified once more.
    expect(ended.waits.filter((ms) => ms === 1_000)).toHaveLength(7);
    expect(ended.waits.filter((ms) => ms > 60_000)).toHaveLength(1);
  });

  it('fills in the default message as for an app without a brand', async () => {
    const env = {
      DEFAULT_MESSAGE: 'Your {brand} code: %OTP%, valid for {minutes} minutes',
      OTP_TTL_SECONDS: '180',
    };
    expect((await probed(simulator.endpoint, { env })).code).toBe(0);
    const [sms] = simulator.state.inbox({ mobile: number, limit: 1 });
    expect(sms?.text).toBe(`RM0.00 Your code: ${sms?.code}, valid for 3 minutes`);
  });

  it('writes a transcript without password, user name, codes and whole number, for its owner alone', async () => {
    const ended = await probed(simulator.endpoint, { expired: true });
    const code = simulator.lastCode(number) ?? 'none';
    const { username, password } = account;
    for (const secret of [username, password, code, number.slice(3), '3456789']) {
      expect(ended.transcript).not.toContain(secret);
      expect(ended.out + ended.err).not.toContain(secret);
    }
    expect(ended.transcript).toMatch(/^account t…r, number \+60\*{6}789$/m);
    expect(ended.transcript.match(/^> \w+: (GET|POST) /gm)).toHaveLength(8);
    expect(ended.transcript).toContain('"message":"Incorrect OTP Code"');
    expect(statSync(transcript).mode & 0o777).toBe(0o600);
  });

  it('names no code or number in the transcript, in any notation in which a reply repeats it', async () => {
    const leak = () => {
      const code = simulator.lastCode(number) ?? '';
      return `un=${account.username.toUpperCase()} ${encodeURIComponent(account.password)} code ${code} to +60 12-345 6789\u001b[2J`;
    };
    const endpoint = await plantDifferences([
      ({ body }, { method }) => (method === 'verify' && body.includes('Verified') ? { body: leak() } : {}),
      change(isSend, () => ({ code: 'AB12', message: 'Your code is ab12.' })),
    ]);
    const ended = await probed(endpoint);
    expect(different(ended)).toEqual(['json_object', 'send_code', 'right_code']);
    expect(ended.transcript).not.toMatch(/AB12/i);
    expect(ended.transcript).not.toContain('\u001b');
    const body = /^un=.*$/m.exec(ended.transcript)?.[0];
    expect(body).toBe(String.raw`un=… … code … to +60 …\u001b[2J`);
  });
});

describe('probe of an account that differs', () => {
  it('finds exactly five planted differences, with advice for each, and exits 1', async () => {
    const ids = ['balance_strings', 'expiration', 'balance_post', 'wrong_code', 'repeated_code'];
    const ended = await probed(await plantDifferences(ids.map((id) => plants[id] ?? (() => ({})))));
    expect(different(ended)).toEqual(ids);
    expect(ended.code).toBe(1);
    const advice = ended.found.facts.flatMap((fact) => fact.advice ?? []);
    expect(advice).toHaveLength(5);
    expect(ended.transcript).toMatch(
      /^repeated_code +DIFFERENT: unrecognised \(Already used\), not correct$/m,
    );
  });

  it.each(Object.entries(plants))('finds a difference in %s, and no other', async (id, plant) => {
    const ended = await probed(await plantDifferences([plant]), { expired: true });
    expect(different(ended)).toEqual([id]);
    expect(ended.code).toBe(1);
  });

  it('takes a POST that the server drops for refused, and goes on', async () => {
    const ended = await probed(await plantDifferences([(_, { post }) => (post ? { status: 0 } : {})]));
    expect(different(ended)).toEqual([]);
    expect(ended.code).toBe(0);
  });

  it('leaves unchecked what it cannot tell while iSMS is ill', async () => {
    const ill = { status: 502, body: '<h1>Maintenance</h1>' };
    const ended = await probed(
      await plantDifferences([
        (_, { post, method, uuid }) => (post || (method === 'verify' && !uuid) ? ill : {}),
      ]),
    );
    const unchecked = ended.found.facts.flatMap(({ id, result }) => (result === 'unchecked' ? [id] : []));
    expect(unchecked).toEqual(['balance_post', 'no_ids']);
    expect(ended.code).toBe(1);
  });

  it('finds a code of another length', async () => {
    const ended = await probed(simulator.endpoint, {
      rightCode: () => (simulator.lastCode(number) ? '1234' : ''),
    });
    expect(different(ended)).toEqual(['code', 'send_code', 'right_code']);
    expect(Object.keys(plants)).toEqual(probeFacts.map((fact) => fact.id).filter((id) => id !== 'code'));
  });
});

describe('probe that sends nothing', () => {
  it.each([
    ['a wrong number', '12', {}, 2, 'invalid_phone_number'],
    ['a number of another country', '+6591234567', {}, 2, 'country_not_allowed'],
    ['a wrong setting', number, { PORT: 'x' }, 2, 'settings'],
    ['no account', number, { ISMS_USERNAME: '', ISMS_PASSWORD: '' }, 2, 'settings'],
  ])('refuses %s', async (_, to, env, code, problem) => {
    const ended = await probed(simulator.endpoint, { to, env });
    expect(ended).toMatchObject({ code, out: '', transcript: '' });
    expect(JSON.parse(ended.err)).toMatchObject({ error: { code: problem } });
    expect(simulator.state.calls.send + simulator.state.calls.balance).toBe(0);
  });

  it('refuses a test number of an app', async () => {
    const APPS_FILE = join(directory, 'apps.json');
    const shop = { keys: [`sha256:${'a'.repeat(64)}`], testNumbers: { [number]: '123456' } };
    writeFileSync(APPS_FILE, JSON.stringify({ apps: { shop } }));
    const ended = await probed(simulator.endpoint, { env: { APPS_FILE } });
    expect(ended.code).toBe(2);
    expect(JSON.parse(ended.err)).toMatchObject({ error: { code: 'test_number' } });
    expect(simulator.state.calls.balance).toBe(0);
  });

  it('stops at account trouble, with its advice', async () => {
    const ended = await probed(simulator.endpoint, { env: { ISMS_PASSWORD: 'another-password' } });
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.err)).toMatchObject({ error: { code: 'authentication_failed' } });
    expect(different(ended)).toContain('balance');
    expect(simulator.state.calls.send).toBe(0);
  });

  it('exits 4 when iSMS is unreachable, and says where the transcript is', async () => {
    const ended = await probed(`http://127.0.0.1:${await freePort()}/`);
    expect(ended.code).toBe(4);
    expect(JSON.parse(ended.err)).toMatchObject({ error: { code: 'ECONNREFUSED' } });
    expect(ended.transcript).toContain('no reply (ECONNREFUSED)');
  });

  it('names a time-out', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    onTestFinished(() => {
      silent.close();
      silent.closeAllConnections();
    });
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const ended = await probed(`http://127.0.0.1:${port}/`, { env: { ISMS_VERIFY_TIMEOUT_MS: '300' } });
    expect(ended.code).toBe(4);
    expect(JSON.parse(ended.err)).toMatchObject({ error: { code: 'timeout' } });
  });
});

describe('isms-otp probe', () => {
  const settings = () => ({
    ISMS_URL: simulator.endpoint,
    ISMS_USERNAME: account.username,
    ISMS_PASSWORD: account.password,
  });

  it('says what it will send and cost, and sends nothing without a yes', async () => {
    const args = ['probe', number, '--transcript', transcript];
    const ended = await run(args, { env: settings(), stdin: 'n\n', tty: true });
    expect(ended.err).toMatch(
      /^Sends one SMS \(DEFAULT_MESSAGE, about 1 credit\) to \+60\*{6}789\nfrom the account t…r/,
    );
    expect(ended.err).toMatch(/isms-otp: Nothing was sent \(stopped\)/);
    expect(ended.code).toBe(130);
    expect(simulator.state.calls.balance).toBe(0);
    expect(() => statSync(transcript)).toThrow('ENOENT');
  });

  it.each([
    ['asks on the terminal, for a yes and for the code', true],
    ['reads the code from stdin for scripts', false],
  ])('%s', async (_, isTTY) => {
    const stdin = Object.assign(new PassThrough(), { isTTY });
    let [out, err] = ['', ''];
    const options = { transcript, ...(!isTTY && { yes: true as const, code: '-' }) };
    const call: Call = {
      ...{ name: 'probe', json: false, url: undefined, env: settings(), stdin },
      signal: new AbortController().signal,
      stdout: {
        write: (text) => {
          out += text;
        },
      },
      stderr: {
        write: (text) => {
          err += text;
          if (text.startsWith('Continue?')) stdin.write('y\n');
          if (text.startsWith('Code of')) stdin.write(`${simulator.lastCode(number)}\n`);
        },
      },
    };
    const wait = async () => {
      const sent = simulator.lastCode(number);
      if (!isTTY && sent !== undefined) stdin.end(`${sent}\n`);
    };
    expect(await probe(call, number, options, wait)).toBe(0);
    expect(out).toMatch(/^right_code +ok$/m);
    expect(out).toMatch(/Differences: 0\. Not checked: 0\./);
    expect(err).not.toContain(simulator.lastCode(number));
  });

  it('exits 1 with what it could not check, when no SMS arrives', async () => {
    const args = ['probe', number, '--yes', '--code', '-', '--transcript', transcript];
    const ended = await run(args, { env: settings() });
    expect(ended.code).toBe(1);
    expect(ended.out).toMatch(/^right_code +unchecked$/m);
    expect(ended.out).toMatch(/Differences: 0\. Not checked: 5\./);
  });

  it('takes a code from a file that another program writes', async () => {
    const code = join(directory, 'code');
    const args = ['probe', number, '--yes', '--code', code, '--transcript', transcript];
    const running = run(args, { env: settings() });
    await expect.poll(() => simulator.state.calls.verify).toBe(1);
    writeFileSync(code, `${simulator.lastCode(number)}\n`);
    const ended = await running;
    expect(ended.out).toMatch(/Differences: 0\. Not checked: 0\./);
    expect(ended.code).toBe(0);
  });

  it('takes no half-written code from a file', async () => {
    const halfFirst = (sent: string, ms: number) => (ms === 500 ? `${sent}\n` : sent.slice(0, 3));
    const ended = await probed(simulator.endpoint, { expired: true, writtenCode: halfFirst });
    expect(ended.waits).toContain(500);
    expect(ended.code).toBe(0);
  });

  it('refuses a file that holds a code already, an existing transcript, and a pipe without --yes and --code', async () => {
    const code = join(directory, 'code');
    writeFileSync(code, '123456\n');
    const env = settings();
    const stale = await run(['probe', number, '--yes', '--code', code, '--transcript', transcript], { env });
    expect(stale.err).toMatch(/The file of --code is not empty/);
    writeFileSync(transcript, 'kept');
    const kept = await run(['probe', number, '--yes', '--code', '-', '--transcript', transcript], { env });
    expect(kept.err).toMatch(/cannot be created \(EEXIST\)/);
    expect(readFileSync(transcript, 'utf8')).toBe('kept');
    const piped = await run(['probe', number, '--code', '-'], { env });
    expect(piped.err).toMatch(/--yes is required/);
    const codeless = await run(['probe', number, '--yes'], { env });
    expect(codeless.err).toMatch(/--code is required/);
    const wordy = await run(['probe', number, '123456', '--yes'], { env });
    expect(wordy.err).not.toContain('123456');
    expect([stale, kept, piped, codeless, wordy].map(({ code: exit }) => exit)).toEqual([2, 2, 2, 2, 2]);
    expect(simulator.state.calls.balance).toBe(0);
  });
});

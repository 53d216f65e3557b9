import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { behaviours } from 'isms-2fa-simulator';
import { afterEach, expect, it } from 'vitest';
import { faultRow } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import { account } from '../support/processes.js';
import type { RedisServer } from '../support/redis-server.js';
import { apiKey, type Fleet, type FleetApi, nthNumber, startFleet } from './fleet.js';

const admin = { ADMIN_USERNAME: 'operator', ADMIN_PASSWORD: 'admin-password-canary' };
const webhook = {
  // Nobody is there, so that every attempt leaves its trace.
  WEBHOOK_URL: 'http://127.0.0.1:9/hooks?token=webhook-token-canary',
  WEBHOOK_SECRET: `whsec_${Buffer.from('webhook-secret-canary-of-the-tests').toString('base64')}`,
  WEBHOOK_PRIVATE_ADDRESSES: 'allow',
};
const message = 'Canary-text: %OTP% is the code';
const reference = 'reference-canary';
const binding = 'binding-canary';
const ordinary = 30;
/** Numbers without a row of zeros: those stand in figures of the metrics, too. */
const firstNumber = 3_581_947;

let fleet: Fleet;
afterEach(() => fleet.close());

/** Everything that happens to OTPs: sent, refused, lost, killed, verified rightly and wrongly; and bad requests. */
async function liveThroughFaults(api: FleetApi): Promise<string> {
  const errors: string[] = [];
  const numbers = [
    ...Array.from({ length: ordinary }, (_, n) => nthNumber(firstNumber + n).e164),
    // Account trouble would pause everything, and what hangs would make the test wait.
    ...behaviours
      .filter(({ name }) => !/credits|authentication|account|ip_not|trickle/.test(name))
      .map((b) => b.number),
  ];
  const worker = fleet.startWorker();
  const ids: string[] = [];
  for (const [n, to] of numbers.entries()) {
    const reply = await api.post({ to, message, reference, binding, clientIp: '198.51.100.77' }, `key-${n}`);
    ids.push(((await reply.json()) as { id: string }).id);
    if (n === ordinary) {
      await worker.end('SIGKILL');
      fleet.startWorker();
    }
  }
  await fleet.redis.kill();
  await sleep(300);
  await fleet.redis.restart();
  await sleep(12_000);
  for (const [n, id] of ids.entries()) {
    const code = fleet.simulator.state.inbox({ mobile: numbers[n], limit: 1 })[0]?.code ?? '123456';
    await api.verify(id, '000000', binding);
    await api.verify(id, code, `${binding}-2`);
    await api.verify(id, code, binding);
    await api.verify(id, `${code}0`);
    errors.push(JSON.stringify(await api.get(`/v1/otps/${code}`)));
  }
  for (const body of [
    { to: numbers[0], [String(numbers[1])]: 1 },
    { to: `${numbers[0]}x`, message: 1 },
  ]) {
    errors.push(await (await api.post(body)).text());
  }
  return errors.join('\n');
}

/** All that a process has in its writable memory; where the system is not Linux, nothing. */
async function memoryOf(pid: number): Promise<string> {
  if (process.platform !== 'linux') return ' '.repeat(1_001);
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8');
  const memory = await open(`/proc/${pid}/mem`);
  const parts: string[] = [];
  for (const [, from = '', to = ''] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw.*$/gm)) {
    const start = Number.parseInt(from, 16);
    const region = Buffer.alloc(Number.parseInt(to, 16) - start);
    // Parts of a region may not be there to be read.
    const { bytesRead } = await memory.read(region, 0, region.length, start).catch(() => ({ bytesRead: 0 }));
    parts.push(region.toString('latin1', 0, bytesRead));
  }
  await memory.close();
  return parts.join('\n');
}

/** All that a Redis has in its log of writes, its memory and a snapshot. */
async function leftIn({ url, dir, pid }: RedisServer): Promise<Record<'log' | 'memory' | 'dump', string>> {
  const redis = new Redis(url);
  await redis.config('SET', 'rdbcompression', 'no');
  await redis.save();
  redis.disconnect();
  const directory = join(dir, 'appendonlydir');
  const names = await readdir(directory);
  const logs = await Promise.all(names.map((name) => readFile(join(directory, name), 'latin1')));
  return {
    log: logs.join('\n'),
    memory: await memoryOf(pid),
    dump: await readFile(join(dir, 'dump.rdb'), 'latin1'),
  };
}

/** Every place where something could be left, by name. */
async function places(api: FleetApi, errors: string): Promise<Record<string, string>> {
  const basic = { Authorization: `Basic ${btoa(`${admin.ADMIN_USERNAME}:${admin.ADMIN_PASSWORD}`)}` };
  const board = async (path: string) => await (await fetch(`${api.url}${path}`, { headers: basic })).text();
  const states = ['latest', 'completed', 'failed', 'waiting', 'delayed'];
  const left = await Promise.all(fleet.redis.servers.map(leftIn));
  const pages = ['otp-send', 'webhook'].flatMap((queue) =>
    states.map((status) =>
      board(`/admin/queues/api/queues?activeQueue=${queue}&status=${status}&page=1&jobsPerPage=100`),
    ),
  );
  const authorization = `Bearer ${apiKey}`;
  const list = await fetch(`${api.url}/v1/otps`, { headers: { authorization } });
  const { otps } = (await list.json()) as { otps: { id: string }[] };
  return {
    'the pages of OTPs': (await Promise.all(otps.map(({ id }) => board(`/admin/otps/${id}`)))).join('\n'),
    'the logs': fleet.workers.map(({ output }) => output).join('\n'),
    'Redis’s append-only file': left.map(({ log }) => log).join('\n'),
    'Redis’s memory': left.map(({ memory }) => memory).join('\n'),
    'all that Redis holds': left.map(({ dump }) => dump).join('\n'),
    'the answers to mistakes': errors,
    'Bull Board': (await Promise.all(pages)).join('\n'),
    'the metrics': await board('/metrics'),
  };
}

it('no code, password, key, message, reference, address or whole number is left anywhere', {
  timeout: 120_000,
}, async () => {
  fleet = await startFleet({
    ...admin,
    ...webhook,
    LOG_LEVEL: 'trace',
    ISMS_SEND_TIMEOUT_MS: '2000',
    ISMS_VERIFY_TIMEOUT_MS: '1000',
  });
  const api = await fleet.startApi();
  const errors = await liveThroughFaults(api);
  const sms = fleet.simulator.state.inbox({ limit: 1_000 });
  expect(sms.length).toBeGreaterThan(ordinary);
  const numbers = sms.map(({ mobile }) => mobile.replace('+60', ''));
  // A code stands by itself; the digits of a time or an id do not.
  const codes = new RegExp(
    `(?<![0-9A-Za-z_.-])(?:${[...new Set(sms.map(({ code }) => code))].join('|')})(?![0-9A-Za-z_.-])`,
  );
  const secrets = [
    account.password,
    apiKey,
    admin.ADMIN_PASSWORD,
    'Canary-text',
    reference,
    binding,
    '198.51.100.77',
  ];
  secrets.push('webhook-token-canary', 'webhook-secret-canary', webhook.WEBHOOK_SECRET.slice(6, 30));
  const found: string[] = [];
  for (const [place, text] of Object.entries(await places(api, errors))) {
    expect(text.length, place).toBeGreaterThan(1_000);
    for (const canary of [...numbers, ...secrets])
      if (text.includes(canary)) found.push(`${place}: ${canary}`);
    const code = codes.exec(text)?.[0];
    if (code !== undefined) found.push(`${place}: code ${code}`);
  }
  faultRow(
    `canaries of ${sms.length} SMS searched for in logs at trace, Redis’s log, dump and memory, answers to mistakes, metrics and Bull Board, after kills`,
    { found: found.length },
    'D1',
  );
  expect(found).toEqual([]);
});

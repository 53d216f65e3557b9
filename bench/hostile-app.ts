import { Pool } from 'undici';
import { type Hostility, hostilities } from '../test/support/hostile-app.js';
import type { HostileQuestion } from './hostile-sender.js';
import type { Figure } from './pairs.js';
import type { Row } from './row.js';
import { startChild } from './support/child.js';
import { nowMs, sleep } from './support/clock.js';
import { post } from './support/drive.js';
import { createGateway, message } from './support/gateway.js';
import { apiKey, otherApiKey } from './support/gateway-processes.js';
import { nthNational } from './support/numbers.js';
import { peakMemory } from './support/process-memory.js';
import { keepUp } from './support/progress.js';
import type { Stand } from './support/stand.js';

/** Node's own choice, and that of a small container. */
const heaps = ['', '--max-old-space-size=256'];
const pauseMs = 50;
const warmUp = 500;

/** The slowest answers that another app got, and by how much the API grew. */
interface Felt {
  kind: Hostility;
  sendMs: number;
  livezMs: number;
  memoryMb: number;
}

/** A figure of the row. */
interface Judged {
  of: 'sendMs' | 'livezMs' | 'memoryMb';
  unit: string;
  atMost: number;
}

/** How long `call` took at most, called again and again for `forMs`. */
async function longestMs(forMs: number, call: () => Promise<unknown>): Promise<number> {
  const until = nowMs() + forMs;
  let longest = 0;
  while (nowMs() < until) {
    const began = nowMs();
    await call();
    longest = Math.max(longest, nowMs() - began);
    await sleep(pauseMs);
  }
  return longest;
}

/** Two requests of another app, each of which throws when it is not answered as it should be. */
function createCalls(stand: Stand, url: string) {
  const pool = stand.add(new Pool(url, { connections: 4 }), (open) => open.close());
  let next = 0;
  return {
    send: () => {
      const body = JSON.stringify({ to: `+60${nthNational(next++)}`, message });
      return post(pool, { path: '/v1/otps', body, key: otherApiKey }, 202);
    },
    livez: async () => {
      const { statusCode, body } = await pool.request({ method: 'GET', path: '/livez' });
      await body.dump();
      if (statusCode !== 200) throw new Error(`/livez answered ${statusCode}`);
    },
  };
}

/** What another app feels of each kind, one after the other, of an API with such a heap. */
async function feel(stand: Stand, heap: string): Promise<Felt[]> {
  await stand.empty();
  const { url, pid } = await createGateway(stand).startApi({ NODE_OPTIONS: heap });
  const { send, livez } = createCalls(stand, url);
  const sender = stand.add(await startChild('hostile-sender'), (child) => child.end());
  const ask = (question: HostileQuestion) => sender.ask(question);
  for (let i = 0; i < stand.size(warmUp, 5); i++) await send();
  const memoryBefore = await peakMemory(pid);
  const forMs = stand.size(5_000, 200);
  const feelOne = async (kind: Hostility): Promise<Felt> => {
    await ask({ ask: 'start', url, key: apiKey, kind });
    const [sendMs, livezMs] = await Promise.all([longestMs(forMs, send), longestMs(forMs, livez)]);
    if (!(await ask({ ask: 'stop' }))) throw new Error(`nothing was sent of ${kind}`);
    return { kind, sendMs, livezMs, memoryMb: (await peakMemory(pid)) - memoryBefore };
  };
  const felt: Felt[] = [];
  for (const kind of hostilities) felt.push(await feelOne(kind));
  return felt;
}

export const hostileAppRow: Row = {
  name: 'hostile-app',
  also: ['hostile-app livez', 'hostile-app memory'],
  what: "another app's slowest send while one uploads junk over several connections, /livez meanwhile, and by how much the API's memory grows",
  bare: '–',
  run: async (stand) => {
    keepUp(stand, createGateway(stand).store);
    const felt: Felt[] = [];
    for (const heap of heaps) felt.push(...(await feel(stand, heap)));
    const worst = (name: string, { of, unit, atMost }: Judged): Figure => ({
      ...{ name, unit, judged: 'ours', goal: { atMost } },
      pairs: [{ ours: Math.max(...felt.map((each) => each[of])), bare: null }],
    });
    return [
      worst('hostile-app', { of: 'sendMs', unit: 'ms', atMost: 1_000 }),
      worst('hostile-app livez', { of: 'livezMs', unit: 'ms', atMost: 500 }),
      worst('hostile-app memory', { of: 'memoryMb', unit: 'MB', atMost: 225 }),
    ];
  },
};

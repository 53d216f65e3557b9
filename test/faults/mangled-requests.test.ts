import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import type { OpenApiDocument } from '../../src/api/docs/openapi.js';
import { problemMediaType } from '../../src/api/http/problem.js';
import { type problemCodes, problems } from '../../src/api/http/problems.js';
import { shopKey, startGateway } from '../api/gateway.js';
import { exchange, type RawAnswer } from '../api/http/raw-http.js';
import { faultRow } from '../support/fault-table.js';
import { seededRandom } from '../support/random.js';
import { createMangler, type Mangler } from './mangle.js';

/** `FAULTS=full`: all 10,000 of the guarantee, other ones in every run; `MANGLE_SEED` repeats a run. */
const full = process.env['FAULTS'] === 'full';
const count = full ? 10_000 : 1_000;
const seed = Number(process.env['MANGLE_SEED'] ?? (full ? Date.now() % 1_000_000 : 1));
/** Code takes memory when it first runs, and a small tenth has not run much of it. */
const warmUp = full ? 0 : 400;
const atOnce = 64;
/** Longer than any whole request takes, also on a busy machine: some prefer to wait for a second. */
const patienceMs = 6_000;

const gateway = await startGateway();
const sent = [await gateway.sent(), await gateway.sent(), await gateway.sent()];
const { json } = await gateway.call('GET', '/openapi.json', { key: null });

/** What is wrong with an answer; null when nothing is. */
function fault({ status, contentType, body, text }: RawAnswer, isHead: boolean): string | null {
  if (status === 0) return 'no answer';
  if (/^HTTP\/1\.1 500 /m.test(text)) return 'an answer of 500';
  if (status < 400) return null;
  if (contentType !== problemMediaType) return `${status} as ${contentType}`;
  if (isHead) return null;
  const { code } = JSON.parse(body) as { code: (typeof problemCodes)[number] };
  return problems[code]?.status === status ? null : `${status} with the code ${code}`;
}

/** Sends so many requests, some at a time; answers each fault, and how often which status came. */
async function send(mangler: Mangler, times: number, statuses: Map<number, number>): Promise<string[]> {
  const faults: string[] = [];
  let left = times;
  const sendSome = async () => {
    while (left-- > 0) {
      const { bytes, by } = mangler.next();
      const answer = await exchange(gateway.url, bytes, { patienceMs });
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      const found = fault(answer, bytes.subarray(0, 5).toString('latin1') === 'HEAD ');
      if (found) faults.push(`${found} (${by.join(', ')}): ${bytes.toString('latin1').slice(0, 2_000)}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, sendSome));
  return faults;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function heapUsed(): Promise<number> {
  // What was logged is held by the test.
  gateway.logs.length = 0;
  for (let n = 0; n < 3; n++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return process.memoryUsage().heapUsed;
}

it(`${count} mangled requests get no 500, only known problems, and take no memory for good`, {
  timeout: 600_000,
}, async () => {
  const random = seededRandom(seed);
  const ids = sent.map(({ id }) => id);
  const mangler = createMangler({ document: json as OpenApiDocument, apiKey: shopKey, ids, random });
  const statuses = new Map<number, number>();
  const faults = await send(mangler, warmUp, statuses);
  const heaps: number[] = [];
  const internal: string[] = [];
  for (let tenth = 0; tenth < 10; tenth++) {
    faults.push(...(await send(mangler, count / 10, statuses)));
    internal.push(...gateway.logs.filter((line) => line.includes('http.internal_error')));
    heaps.push(await heapUsed());
  }
  const [first = 0, ...rest] = heaps;
  const growth = (rest.at(-1) ?? 0) / first - 1;
  const found = {
    seed,
    heaps: heaps.map((h) => Math.round(h / 1e4) / 100),
    growth: `${(growth * 100).toFixed(1)} %`,
    ...Object.fromEntries(statuses),
  };
  process.stdout.write(`mangled requests: ${JSON.stringify(found)}\n`);
  faultRow(
    `${count} requests made from the OpenAPI document and mangled`,
    { withoutProblemDocument: faults.length, answersOf500: internal.length, memoryGrowth: found.growth },
    'A4',
  );
  expect(faults).toEqual([]);
  expect(internal).toEqual([]);
  expect(growth).toBeLessThan(0.05);
  expect(await gateway.call('GET', '/readyz')).toMatchObject({ status: 200 });
});

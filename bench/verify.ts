import { Pool } from 'undici';
import { takePairs } from './pairs.js';
import type { Row } from './row.js';
import { apiSides } from './support/api-sides.js';
import { inBatches } from './support/batches.js';
import { nowMs } from './support/clock.js';
import { type Call, drive, post } from './support/drive.js';
import { createGateway, type Gateway } from './support/gateway.js';
import { nthNational } from './support/numbers.js';
import { sentOtp } from './support/sent-otp.js';
import type { Stand } from './support/stand.js';
import { median } from './support/statistics.js';

/** A right code for each of `count` OTPs that have been sent. */
async function ourCalls({ store }: Gateway, count: number): Promise<Call[]> {
  const ids = await inBatches(count, (n) => sentOtp(store, n));
  return ids.map((id) => ({ path: `/v1/otps/${id}/verify`, body: '{"code":"123456"}' }));
}

/** A counterpart keeps no record, so its caller brings what the provider must be told. */
async function counterpartCalls(count: number): Promise<Call[]> {
  return Array.from({ length: count }, (_, n) => {
    const body = {
      mobile: nthNational(n),
      uuid: `bd9a1ff0-0000-11ee-8000-${n}`,
      smsId: `${n}`,
      code: '123456',
    };
    return { path: '/verify', body: JSON.stringify(body) };
  });
}

/** All APIs, each with what makes its calls ready and a way to measure them. */
async function sides(stand: Stand, measure: (url: string, calls: Call[]) => Promise<number>) {
  const gateway = createGateway(stand);
  const side = (prepare: (count: number) => Promise<Call[]>) => (url: string) => async (count: number) => {
    await stand.empty();
    return await measure(url, await prepare(count));
  };
  return await apiSides(stand, gateway, {
    ours: side((count) => ourCalls(gateway, count)),
    counterpart: side(counterpartCalls),
  });
}

/** The middle time that a call takes when nothing else is asked, in ms. */
async function calmly(url: string, calls: Call[]): Promise<number> {
  const pool = new Pool(url, { connections: 1 });
  const tookMs: number[] = [];
  for (const call of calls) {
    const began = nowMs();
    await post(pool, call, 200);
    tookMs.push(nowMs() - began);
  }
  await pool.close();
  return median(tookMs);
}

export const verifyRows: Row[] = [
  {
    name: 'verify',
    what: 'verifications a second, 64 connections',
    bare: 'Express and undici.request to the provider',
    run: async (stand) => {
      const fast = (url: string, calls: Call[]) => drive(url, calls, { connections: 64, status: 200 });
      const pairs = await takePairs(stand.extent(5_000, 200), await sides(stand, fast));
      const goals = { goal: { atLeast: 0.9 }, usualGoal: { atLeast: 1.2 } };
      return [{ name: 'verify', unit: 'calls/s', judged: 'ratio', ...goals, pairs }];
    },
  },
  {
    name: 'verify-latency',
    what: 'what the gateway adds to a verification, one at a time: p50',
    bare: 'Express and undici.request to the provider',
    run: async (stand) => {
      const pairs = await takePairs(stand.extent(300, 20, 2_000), await sides(stand, calmly));
      const goals = { goal: { atMost: 1.2 }, usualGoal: { atMost: 0.2 } };
      return [{ name: 'verify-latency', unit: 'ms', judged: 'difference', ...goals, pairs }];
    },
  },
];

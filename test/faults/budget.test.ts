import { afterEach, describe, expect, it } from 'vitest';
import { faultRow, full } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import {
  countByStatus,
  type Fleet,
  type FleetApi,
  nthNumber,
  providerSaw,
  startFleet,
  withoutCall,
} from './fleet.js';

const minutes = (n: number) => n * 60_000;

let fleet: Fleet;
afterEach(() => fleet.close());

describe('the budget of an app', { timeout: minutes(5) }, () => {
  const budget = full ? 100 : 30;
  const asked = 10 * budget;
  const killEveryMs = full ? 2_000 : 700;

  const killing = async (errorRate: number) => {
    fleet = await startFleet({
      MAX_RESENDS_AFTER_UNKNOWN: '0',
      ISMS_SEND_TIMEOUT_MS: '4000',
      // Sending takes longer than asking, so that many wait at each kill.
      LIMIT_SEND_PER_SECOND: '12',
      // A month: the test may run at midnight.
      BUDGET_CREDITS_PER_MONTH: String(budget),
    });
    // Refused OTPs give their credits back, and others are accepted in their place.
    fleet.simulator.state.change({
      latencyMs: { min: 20, max: 120 },
      errorRate,
      errorKind: 'invalid_number',
    });
    const workers = Array.from({ length: 4 }, () => fleet.startWorker());
    let api = await fleet.startApi();
    let kills = 0;
    let isOver = false;
    const kill = (async () => {
      while (!isOver) {
        await sleep(killEveryMs);
        kills += 1;
        if (kills % 4 === 0) {
          await fleet.workers.find((one) => !workers.includes(one))?.end('SIGKILL');
          fleet.workers.splice(
            fleet.workers.findIndex((one) => !workers.includes(one)),
            1,
          );
          api = await fleet.startApi();
        } else {
          await workers.shift()?.end('SIGKILL');
          workers.push(fleet.startWorker());
        }
      }
    })();
    const answers: Record<number, number> = {};
    const ids: string[] = [];
    let next = 0;
    const ask = async () => {
      const n = next;
      next += 1;
      const body = { to: nthNumber(n).e164, message: '%OTP%', sendDeadlineSeconds: 600 };
      const reply = await untilAnswered(() => api, body, `key-${n}`);
      answers[reply.status] = (answers[reply.status] ?? 0) + 1;
      if (reply.status === 202) ids.push(((await reply.json()) as { id: string }).id);
      return reply.status;
    };
    const asking: Promise<number>[] = [];
    while (next < asked * 0.9) {
      asking.push(ask());
      await sleep(15);
    }
    await Promise.all(asking);
    isOver = true;
    await kill;
    const settled = () =>
      fleet.settled(
        ids.map((id) => ({ app: 'shop', id })),
        minutes(2),
      );
    // What came back last is used by those who ask last.
    fleet.simulator.state.change({ errorRate: 0 });
    let otps = await settled();
    while (next < asked) if ((await ask()) === 202) otps = await settled();
    otps = await settled();
    const { sent = 0, unknown = 0, failed = 0 } = countByStatus(otps);
    const paid = fleet.simulator.state.stats().sent.sms;
    const unknownWithoutCall = withoutCall(
      fleet,
      otps.filter(({ status }) => status === 'unknown'),
    );
    const { duplicates } = providerSaw(fleet, otps);
    const refusals = errorRate > 0 ? ', every fifth number refused by the provider' : '';
    faultRow(
      `budget ${budget}, ${asked} OTPs requested, four workers and an API, \`kill -9\` of one every ${killEveryMs / 1_000} s${refusals}, \`MAX_RESENDS_AFTER_UNKNOWN=0\``,
      { kills, answers, paid, sent, failed, unknown, unknownWithoutCall, duplicates },
      'A8',
    );
    expect(kills).toBeGreaterThan(1);
    expect(answers).toEqual({ 202: otps.length, 429: asked - otps.length });
    expect({ kept: sent + unknown, duplicates }).toEqual({ kept: budget, duplicates: 0 });
    return { unpaid: budget - paid, unknown, unknownWithoutCall };
  };

  it('pays for exactly as many SMS as it allows, with four workers and an API that are killed', async () => {
    const { unpaid, unknownWithoutCall } = await killing(0);
    expect(unpaid).toBe(unknownWithoutCall);
  });

  it.runIf(full)('is used by others in place of the OTPs that the provider refused', async () => {
    const { unpaid, unknown, unknownWithoutCall } = await killing(0.2);
    expect(unpaid).toBeGreaterThanOrEqual(unknownWithoutCall);
    expect(unpaid).toBeLessThanOrEqual(unknown);
  });
});

/** Asks again, as a client does, while no API answers or Redis does not. */
async function untilAnswered(api: () => FleetApi, body: object, key: string): Promise<Response> {
  for (;;) {
    const reply = await api()
      .post(body, key)
      .catch(() => null);
    if (reply && reply.status !== 503) return reply;
    await sleep(100);
  }
}

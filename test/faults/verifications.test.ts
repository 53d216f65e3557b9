import { afterEach, describe, expect, it } from 'vitest';
import { faultRow } from '../support/fault-table.js';
import { type Fleet, type FleetApi, nthNumber, startFleet } from './fleet.js';

const count = 1_000;
const minutes = (n: number) => n * 60_000;

let fleet: Fleet;
afterEach(() => fleet.close());

/** An OTP that was sent through real processes, and the code in it. */
async function sentOtp(
  n: number,
  members: object = {},
): Promise<{ api: FleetApi; id: string; code: string }> {
  fleet = await startFleet();
  fleet.simulator.state.change({ latencyMs: 50 });
  const api = await fleet.startApi();
  fleet.startWorker();
  const to = nthNumber(n).e164;
  const { id } = (await (await api.post({ to, ...members })).json()) as { id: string };
  for (;;) {
    const [sms] = fleet.simulator.state.inbox({ mobile: to, limit: 1 });
    if (sms && (await api.get(`/v1/otps/${id}`)).status === 'sent') return { api, id, code: sms.code };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Everybody verifies at the same moment; how many got which status. */
async function verifyAll(
  api: FleetApi,
  id: string,
  codes: string[],
  bindings: string[] = [],
): Promise<Record<number, number>> {
  const statuses = await Promise.all(codes.map((code, n) => api.verify(id, code, bindings[n])));
  const counts: Record<number, number> = {};
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

describe(`${count} parallel verifications of one OTP`, { timeout: minutes(2) }, () => {
  it('all with the correct code: exactly one gets 200, and at most 5 reach the provider', async () => {
    const { api, id, code } = await sentOtp(1);
    const counts = await verifyAll(api, id, Array(count).fill(code));
    const { verify } = fleet.simulator.state.calls;
    faultRow(
      `${count} verifications of one OTP at once, all with the correct code`,
      { answers: counts, providerCalls: verify },
      'V2',
    );
    expect(counts[200]).toBe(1);
    expect(verify).toBeLessThanOrEqual(5);
    expect(Object.values(counts).reduce((sum, n) => sum + n)).toBe(count);
  });

  it('a third with the correct code: at most one gets 200, and at most 5 reach the provider', async () => {
    const { api, id, code } = await sentOtp(2);
    const wrong = code === '000000' ? '111111' : '000000';
    const codes = Array.from({ length: count }, (_, n) => (n % 3 === 0 ? code : wrong));
    const counts = await verifyAll(api, id, codes);
    const { verify } = fleet.simulator.state.calls;
    faultRow(
      `${count} verifications of one OTP at once, a third with the correct code`,
      { answers: counts, providerCalls: verify },
      'V2',
    );
    expect(counts[200] ?? 0).toBeLessThanOrEqual(1);
    expect(verify).toBeLessThanOrEqual(5);
  });

  it('half of them with another binding: at most one gets 200, and at most 5 are not refused at once', async () => {
    const { api, id, code } = await sentOtp(3, { binding: 'MYR 5' });
    const wrong = code === '000000' ? '111111' : '000000';
    const codes = Array.from({ length: count }, (_, n) => (n % 4 === 0 ? wrong : code));
    const bindings = Array.from({ length: count }, (_, n) => (n % 2 === 0 ? 'MYR 5' : 'MYR 6'));
    const counts = await verifyAll(api, id, codes, bindings);
    const { verify } = fleet.simulator.state.calls;
    faultRow(
      `${count} verifications of one OTP at once, half of them with another binding`,
      { answers: counts, providerCalls: verify },
      'V2',
    );
    expect(counts[200] ?? 0).toBeLessThanOrEqual(1);
    expect((counts[200] ?? 0) + (counts[422] ?? 0)).toBeLessThanOrEqual(5);
    expect(verify).toBeLessThanOrEqual(5);
  });
});

import { beforeEach, describe, expect, it } from 'vitest';
import { manualClock } from '../../support/manual-clock.js';
import { expectProblem, startGateway } from '../gateway.js';

const clock = manualClock();
/** How long the circuit is open at first, in milliseconds. */
const openMs = 5_000;
/** Lets a verification through to iSMS. */
let letThrough = Promise.resolve();
const gateway = await startGateway({
  clock,
  isms: (isms) => ({
    ...isms,
    verify: async (call) => {
      await letThrough;
      return await isms.verify(call);
    },
  }),
});
/** The events of circuits. */
const events = () =>
  gateway.logs
    .map((line) => JSON.parse(line) as { event: string; circuit?: string })
    .filter(({ event }) => event.startsWith('circuit.'))
    .map(({ event, circuit }) => ({ event, circuit }));
const { store, simulator } = gateway;

const verify = (id: string, code: string) =>
  gateway.call('POST', `/v1/otps/${id}/verify`, { body: { code } });
const find = (id: string) => store.otps.find('shop', id);
const calls = () => simulator.state.stats().calls.verify;
/** Opens the circuit by five verifications that get no answer. */
async function fallIll(): Promise<void> {
  const { id } = await gateway.sent({ to: '+60190000042' });
  const replies = await Promise.all(Array.from({ length: 5 }, () => verify(id, '123456')));
  for (const reply of replies) expectProblem(reply, 503, 'provider_unavailable');
}

beforeEach(() => void gateway.logs.splice(0));

describe('verification while iSMS is down', () => {
  it('answers 503 at once without a call, and gives the attempt back', async () => {
    const { id, code } = await gateway.sent();
    await fallIll();
    const before = calls();
    expectProblem(await verify(id, code), 503, 'provider_unavailable');
    expect(calls()).toBe(before);
    expect(await find(id)).toMatchObject({ status: 'sent', attemptsRemaining: 5 });
    expect(gateway.logs.join()).toContain('"reason":"circuit_open"');
  });

  it('recovers by itself, with one call at a time', async () => {
    clock.advance(openMs);
    const { id, code } = await gateway.sent();
    expect((await verify(id, code)).status).toBe(200);
    await fallIll();
    clock.advance(openMs);
    const others: { id: string; code: string }[] = [];
    for (let i = 0; i < 5; i++) others.push(await gateway.sent());
    let letGo = () => {};
    letThrough = new Promise((resolve) => {
      letGo = resolve;
    });
    const before = calls();
    let refused = 0;
    const replies = await Promise.all(
      others.map(async (otp) => {
        const reply = await verify(otp.id, otp.code);
        if (reply.status === 503) refused += 1;
        // The one call that is made is answered after all others were refused.
        if (refused === 4) letGo();
        return reply;
      }),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 503, 503, 503, 503]);
    expect(calls() - before).toBe(1);
    for (const [i, otp] of others.entries()) {
      if (replies[i]?.status !== 200) expect((await verify(otp.id, otp.code)).status).toBe(200);
    }
  });

  it('is logged once by its circuit', async () => {
    await fallIll();
    clock.advance(openMs);
    const { id, code } = await gateway.sent();
    await verify(id, code);
    const circuit = 'verifications';
    expect(events()).toEqual([
      { event: 'circuit.opened', circuit },
      { event: 'circuit.half_open', circuit },
      { event: 'circuit.closed', circuit },
    ]);
  });

  it('does not begin with account trouble', async () => {
    const { id, code } = await gateway.sent({ maxAttempts: 5 });
    const more = await gateway.sent();
    simulator.state.change({ trouble: 'ip_not_allowed' });
    for (let i = 0; i < 4; i++) await verify(id, code);
    for (let i = 0; i < 4; i++) await verify(more.id, more.code);
    simulator.state.change({ trouble: null });
    expect((await verify(id, code)).status).toBe(200);
    expect(events()).toEqual([]);
  });
});

import type { SettingsUpdate } from 'isms-2fa-simulator';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { faultRow, full } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import { countByStatus, type Fleet, providerSaw, startFleet } from './fleet.js';

const count = 150;
let fleet: Fleet;
afterEach(() => fleet.close());

/** Wordings of the vendor's other page, and words that are in no table. */
const refusals: [string, SettingsUpdate][] = [
  ['the sentence for credits', { trouble: 'insufficient_credits', failureStyle: 'sentence' }],
  ['words in Malay', { refusal: 'Baki kredit anda tidak mencukupi' }],
  ['the sentence for the login', { trouble: 'authentication_failed', failureStyle: 'sentence' }],
  ['the sentence for the account', { trouble: 'account_suspended', failureStyle: 'sentence' }],
  ['the sentence for the address', { trouble: 'ip_not_allowed', failureStyle: 'sentence' }],
  ['words that mean nothing', { refusal: 'xyzzy' }],
  // As above, while the balance call goes on as if nothing were wrong.
  ['the sentence for credits beside a good balance', { refusal: 'You have run out of credits.' }],
  ['the sentence for the address beside a good balance', { refusal: 'Your IP is not allowed to send SMS.' }],
];

/** Why sending is paused, for all or for the only app. */
async function troubleOf({ store }: Fleet): Promise<string | undefined> {
  const [pause, holds] = await Promise.all([store.sendingPause.read(), store.appHolds.read()]);
  return pause?.trouble ?? (holds.length > 0 ? 'unrecognised_refusal' : undefined);
}

async function until(condition: () => boolean | Promise<boolean>, withinMs = 60_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never: ${condition}`);
    await sleep(50);
  }
}

describe('an iSMS that refuses every call, two workers as they are by default', { timeout: 180_000 }, () => {
  const seen: { sent: number; duplicates: number; mostCalls: number; refusedCalls: number }[] = [];
  afterAll(() =>
    faultRow(
      `${count} OTPs, all refused for a minute, 2 workers × 50, with each of ${seen.length} texts`,
      {
        sentAtLeast: Math.min(...seen.map(({ sent }) => sent)),
        duplicates: Math.max(...seen.map(({ duplicates }) => duplicates)),
        mostCalls: Math.max(...seen.map(({ mostCalls }) => mostCalls)),
        refusedCalls: seen.map(({ refusedCalls }) => refusedCalls),
      },
      'S10',
    ),
  );

  it.each(full ? refusals : refusals.slice(0, 2))('in %s costs few calls and no OTP', async (_, trouble) => {
    fleet = await startFleet();
    const { state } = fleet.simulator;
    state.change({ ...trouble, latencyMs: { min: 50, max: 200 } });
    const enqueued = await fleet.enqueue(count);
    fleet.startWorker();
    fleet.startWorker();
    await until(async () => (await troubleOf(fleet)) !== undefined);
    if (full) await sleep(60_000);
    const refusedCalls = state.calls.send;
    state.change({ trouble: null, refusal: null });
    const otps = await fleet.settled(enqueued, 120_000);
    const { duplicates, mostCalls } = providerSaw(fleet, otps);
    const found = { duplicates, mostCalls, refusedCalls: state.calls.send - count };
    seen.push({ sent: countByStatus(otps)['sent'] ?? 0, ...found });
    expect(refusedCalls).toBeGreaterThan(0);
    expect(countByStatus(otps)).toEqual({ sent: count });
    expect(found.duplicates).toBe(0);
    expect(found.refusedCalls).toBeLessThanOrEqual(40);
  });
});

describe('an iSMS that begins to refuse while OTPs go out', { timeout: 180_000 }, () => {
  it('costs few calls and no OTP', async () => {
    fleet = await startFleet();
    const { state } = fleet.simulator;
    state.change({ latencyMs: { min: 50, max: 200 } });
    const enqueued = await fleet.enqueue(count);
    fleet.startWorker();
    fleet.startWorker();
    await until(() => state.stats().sent.sms >= 60);
    state.change({ refusal: 'Sistem tergendala' });
    await until(async () => (await troubleOf(fleet)) !== undefined);
    expect((await fleet.store.appHolds.read())[0]?.text).toBe('Sistem tergendala');
    state.change({ refusal: null });
    const otps = await fleet.settled(enqueued, 120_000);
    expect(countByStatus(otps)).toEqual({ sent: count });
    expect(providerSaw(fleet, otps).duplicates).toBe(0);
    expect(state.calls.send - count).toBeLessThanOrEqual(40);
  });
});

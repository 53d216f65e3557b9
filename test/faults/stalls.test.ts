import { afterEach, describe, expect, it } from 'vitest';
import { faultRow, full } from '../support/fault-table.js';
import { sleep } from '../support/otps.js';
import {
  countByStatus,
  type Fleet,
  type FleetApi,
  type KnownOtp,
  nthNumber,
  providerSaw,
  startFleet,
} from './fleet.js';

const minutes = (n: number) => n * 60_000;

let fleet: Fleet;
afterEach(() => fleet.close());

const strict = { MAX_RESENDS_AFTER_UNKNOWN: '0', ISMS_SEND_TIMEOUT_MS: '4000', WORKER_CONCURRENCY: '20' };
/** Longer than the silence after which an API leaves its connection to Redis, 5 s. */
const stallMs = 6_000;
/** A module by which a process computes for so long when it gets SIGUSR2. */
const blockOnSignal = `data:text/javascript,${encodeURIComponent(
  `process.on('SIGUSR2', () => { for (const until = Date.now() + ${stallMs}; Date.now() < until; ); });`,
)}`;

/** Asks for OTPs, 20 at a time, each to another number, until it is stopped. */
function startLoad(api: FleetApi) {
  const accepted: KnownOtp[] = [];
  const answers: Record<number, number> = {};
  let [asked, answered, stopped] = [0, 0, false];
  const ask = async () => {
    while (!stopped) {
      const reply = await api.post({ to: nthNumber(asked++).e164, sendDeadlineSeconds: 1_800 });
      answers[reply.status] = (answers[reply.status] ?? 0) + 1;
      if (reply.status === 202) accepted.push({ app: 'shop', ...((await reply.json()) as { id: string }) });
      answered += 1;
    }
  };
  const asking = Promise.all(Array.from({ length: 20 }, ask));
  return {
    /** Resolves when so many more were answered. */
    answered: async (count: number) => {
      for (const enough = answered + count; answered < enough; ) await sleep(5);
    },
    stop: async () => {
      stopped = true;
      await asking;
      return { accepted, answers };
    },
  };
}

describe('an API process that is stopped, or computes, for longer than Redis may take', {
  timeout: minutes(3),
}, () => {
  it('answers 202 to all that Redis took meanwhile, and each number gets one SMS', async () => {
    fleet = await startFleet({ ...strict, NODE_OPTIONS: `--import ${blockOnSignal}` }, { cluster: false });
    fleet.simulator.state.change({ latencyMs: 20 });
    const api = await fleet.startApi();
    const [apiProcess] = fleet.workers;
    fleet.startWorker();
    const load = startLoad(api);
    for (let round = 0; round < (full ? 10 : 2); round++) {
      await load.answered(200);
      if (round % 2 === 0) {
        apiProcess?.signal('SIGSTOP');
        await sleep(stallMs);
        apiProcess?.signal('SIGCONT');
      } else apiProcess?.signal('SIGUSR2');
    }
    await load.answered(200);
    const { accepted, answers } = await load.stop();
    const otps = await fleet.settled(accepted, minutes(1));
    const saw = { answers, ...countByStatus(otps), ...providerSaw(fleet, otps) };
    faultRow(
      `API stopped, or its event loop blocked, for ${stallMs / 1_000} s, ${full ? 10 : 2} times under load`,
      saw,
      'A5',
    );
    expect(saw).toEqual({ answers: { 202: otps.length }, sent: otps.length, duplicates: 0, mostCalls: 1 });
  });
});

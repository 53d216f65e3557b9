import { beforeEach, describe, expect, it } from 'vitest';
import type { HealthSignal } from '../../src/otp/outcome.js';
import {
  type CircuitBreaker,
  type CircuitPermit,
  createCircuitBreaker,
} from '../../src/provider/circuit-breaker.js';
import { manualClock } from '../support/manual-clock.js';

let clock: ReturnType<typeof manualClock>;
let circuit: CircuitBreaker;
let changes: string[];

beforeEach(() => {
  clock = manualClock();
  circuit = createCircuitBreaker(clock);
  changes = [];
  circuit.onChange((state) => changes.push(state));
});

/** The permit of a call that the circuit must allow. */
function enter(): CircuitPermit {
  const permit = circuit.enter();
  if (!permit) throw new Error('refused');
  return permit;
}
const call = (...signals: HealthSignal[]) => {
  for (const signal of signals) enter().settle(signal);
};
const times = (n: number, ...signals: HealthSignal[]) => Array.from({ length: n }, () => signals).flat();

const trip = () => call(...times(5, 'failure'));
/** Opens it and waits until it is half-open. */
const tripAndWait = () => {
  trip();
  clock.advance(5_000);
};

describe('a closed circuit', () => {
  it('allows any number of calls at once', () => {
    const permits = Array.from({ length: 100 }, enter);
    expect(permits.some(({ probe }) => probe)).toBe(false);
  });

  it('opens after five failures in a row, and not after four', () => {
    call(...times(4, 'failure'));
    expect(circuit.state).toBe('closed');
    call('failure');
    expect(circuit.state).toBe('open');
  });

  it('counts five failures in a row over any period', () => {
    for (let i = 0; i < 5; i++) {
      call('failure');
      clock.advance(60_000);
    }
    expect(changes[0]).toBe('open');
  });

  it('starts counting again after a success', () => {
    call(...times(4, 'failure'), 'success', ...times(4, 'failure'));
    expect(circuit.state).toBe('closed');
  });

  it('opens when half of twenty calls failed, and not with nineteen calls', () => {
    call('failure', ...times(9, 'success', 'failure'));
    expect(circuit.state).toBe('closed');
    call('success');
    expect(circuit.state).toBe('open');
  });

  it('stays closed when less than half failed', () => {
    call(...times(100, 'success', 'failure', 'success'));
    expect(circuit.state).toBe('closed');
  });

  it('ignores failures older than ten seconds', () => {
    call(...times(9, 'failure', 'success'));
    clock.advance(10_000);
    call('failure', 'success');
    expect(circuit.state).toBe('closed');
  });

  it('counts failures that are almost ten seconds old', () => {
    call(...times(9, 'failure', 'success'));
    clock.advance(9_899);
    call('failure', 'success');
    expect(circuit.state).toBe('open');
  });

  it('ignores calls that the gateway did not make', () => {
    call(...times(4, 'failure'), ...times(50, 'ignored'));
    expect(circuit.state).toBe('closed');
    call('failure');
    expect(circuit.state).toBe('open');
  });

  it('counts a call once when it is settled repeatedly', () => {
    const permit = enter();
    for (let i = 0; i < 10; i++) permit.settle('failure');
    expect(circuit.state).toBe('closed');
  });
});

describe('an open circuit', () => {
  it('rejects every call for five seconds, then becomes half-open', () => {
    trip();
    clock.advance(4_999);
    expect(circuit.enter()).toBeNull();
    clock.advance(1);
    expect(circuit.state).toBe('half_open');
  });

  it('opens once when calls under way fail as well', () => {
    const late = times(20, 'failure').map(() => enter());
    trip();
    for (const permit of late) permit.settle('failure');
    expect(changes).toEqual(['open']);
    clock.advance(5_000);
    expect(changes).toEqual(['open', 'half_open']);
  });

  it('is not closed by a call that began before', () => {
    const late = enter();
    trip();
    late.settle('success');
    expect(circuit.state).toBe('open');
  });
});

describe('a half-open circuit', () => {
  it('allows one call at a time', () => {
    tripAndWait();
    expect(enter().probe).toBe(true);
    expect(circuit.enter()).toBeNull();
  });

  it('closes when the probe succeeds, and starts counting again', () => {
    tripAndWait();
    call('success');
    expect(circuit.state).toBe('closed');
    call(...times(4, 'failure'));
    expect(circuit.state).toBe('closed');
    expect(changes).toEqual(['open', 'half_open', 'closed']);
  });

  it('probes with the next call when the last one was not made', () => {
    tripAndWait();
    call('ignored');
    expect(circuit.state).toBe('half_open');
    expect(enter().probe).toBe(true);
  });

  it('opens for twice as long with each failed probe, up to thirty seconds', () => {
    tripAndWait();
    for (const openMs of [10_000, 20_000, 30_000, 30_000]) {
      call('failure');
      clock.advance(openMs - 1);
      expect(circuit.state).toBe('open');
      clock.advance(1);
      expect(circuit.state).toBe('half_open');
    }
  });

  it('opens for five seconds again after it was closed', () => {
    tripAndWait();
    call('failure');
    clock.advance(10_000);
    call('success');
    tripAndWait();
    expect(circuit.state).toBe('half_open');
  });

  it.each(['success', 'failure', 'ignored'] as const)(
    'ignores the outcome of a call that began before it opened: %s',
    (signal) => {
      const late = enter();
      tripAndWait();
      late.settle(signal);
      expect(circuit.state).toBe('half_open');
      const probe = enter();
      late.settle(signal);
      expect(circuit.enter()).toBeNull();
      probe.settle('success');
      expect(circuit.state).toBe('closed');
    },
  );

  it('ignores calls from before it opened once it is closed again', () => {
    const late = times(20, 'failure').map(() => enter());
    tripAndWait();
    call('success');
    for (const permit of late) permit.settle('failure');
    expect(circuit.state).toBe('closed');
  });
});

it('onChange returns a function that unsubscribes', () => {
  const heard: string[] = [];
  circuit.onChange((state) => heard.push(state))();
  trip();
  expect(heard).toEqual([]);
});

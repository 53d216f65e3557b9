import { beforeEach, describe, expect, it } from 'vitest';
import { type CircuitBreaker, createCircuitBreaker, type Permit } from '../../src/otp/circuit-breaker.js';
import type { HealthSignal } from '../../src/otp/health-signal.js';
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

/** Leave for a call that the circuit must let through. */
function enter(): Permit {
  const permit = circuit.enter();
  if (!permit) throw new Error('refused');
  return permit;
}
const call = (...signals: HealthSignal[]) => {
  for (const signal of signals) enter().settle(signal);
};
const times = (n: number, ...signals: HealthSignal[]) => Array.from({ length: n }, () => signals).flat();

/** Opens it with calls that are over. */
const trip = () => call(...times(5, 'failure'));
/** Trips it and waits until it is half-open. */
const tripAndWait = () => {
  trip();
  clock.advance(5_000);
};

describe('a closed circuit', () => {
  it('lets any number of calls through at once', () => {
    const permits = Array.from({ length: 100 }, enter);
    expect(permits.some(({ probe }) => probe)).toBe(false);
  });

  it('opens after five ill calls in a row, and not after four', () => {
    call(...times(4, 'failure'));
    expect(circuit.state).toBe('closed');
    call('failure');
    expect(circuit.state).toBe('open');
  });

  it('counts five in a row however long they take', () => {
    for (let i = 0; i < 5; i++) {
      call('failure');
      clock.advance(60_000);
    }
    expect(changes[0]).toBe('open');
  });

  it('begins to count anew after an answer', () => {
    call(...times(4, 'failure'), 'success', ...times(4, 'failure'));
    expect(circuit.state).toBe('closed');
  });

  it('opens when half of twenty calls went ill, and not with nineteen', () => {
    call('failure', ...times(9, 'success', 'failure'));
    expect(circuit.state).toBe('closed');
    call('success');
    expect(circuit.state).toBe('open');
  });

  it('stays closed when less than half went ill', () => {
    call(...times(100, 'success', 'failure', 'success'));
    expect(circuit.state).toBe('closed');
  });

  it('forgets what is older than ten seconds', () => {
    call(...times(9, 'failure', 'success'));
    clock.advance(10_000);
    call('failure', 'success');
    expect(circuit.state).toBe('closed');
  });

  it('remembers what is almost ten seconds old', () => {
    call(...times(9, 'failure', 'success'));
    clock.advance(9_899);
    call('failure', 'success');
    expect(circuit.state).toBe('open');
  });

  it('takes no notice of calls that we kept back ourselves', () => {
    call(...times(4, 'failure'), ...times(50, 'ignored'));
    expect(circuit.state).toBe('closed');
    call('failure');
    expect(circuit.state).toBe('open');
  });

  it('counts a call once, however often it is settled', () => {
    const permit = enter();
    for (let i = 0; i < 10; i++) permit.settle('failure');
    expect(circuit.state).toBe('closed');
  });
});

describe('an open circuit', () => {
  it('refuses every call for five seconds, then it is half-open', () => {
    trip();
    clock.advance(4_999);
    expect(circuit.enter()).toBeNull();
    clock.advance(1);
    expect(circuit.state).toBe('half_open');
  });

  it('opens once when calls under way go ill, too', () => {
    const late = times(20, 'failure').map(() => enter());
    trip();
    for (const permit of late) permit.settle('failure');
    expect(changes).toEqual(['open']);
    clock.advance(5_000);
    expect(changes).toEqual(['open', 'half_open']);
  });

  it('is not closed by a late answer', () => {
    const late = enter();
    trip();
    late.settle('success');
    expect(circuit.state).toBe('open');
  });
});

describe('a half-open circuit', () => {
  it('lets one call through at a time', () => {
    tripAndWait();
    expect(enter().probe).toBe(true);
    expect(circuit.enter()).toBeNull();
  });

  it('closes when the probe is answered, and forgets what was before', () => {
    tripAndWait();
    call('success');
    expect(circuit.state).toBe('closed');
    call(...times(4, 'failure'));
    expect(circuit.state).toBe('closed');
    expect(changes).toEqual(['open', 'half_open', 'closed']);
  });

  it('lets the next call probe when the last one was kept back', () => {
    tripAndWait();
    call('ignored');
    expect(circuit.state).toBe('half_open');
    expect(enter().probe).toBe(true);
  });

  it('opens for twice as long with each ill probe, up to thirty seconds', () => {
    tripAndWait();
    for (const openMs of [10_000, 20_000, 30_000, 30_000]) {
      call('failure');
      clock.advance(openMs - 1);
      expect(circuit.state).toBe('open');
      clock.advance(1);
      expect(circuit.state).toBe('half_open');
    }
  });

  it('is open for five seconds again the next time, once it was closed', () => {
    tripAndWait();
    call('failure');
    clock.advance(10_000);
    call('success');
    tripAndWait();
    expect(circuit.state).toBe('half_open');
  });

  it.each(['success', 'failure', 'ignored'] as const)(
    'is neither closed, opened nor let in on by a late outcome: %s',
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

  it('counts no late outcome once it is closed again', () => {
    const late = times(20, 'failure').map(() => enter());
    tripAndWait();
    call('success');
    for (const permit of late) permit.settle('failure');
    expect(circuit.state).toBe('closed');
  });
});

it('whoever listens no more hears nothing', () => {
  const heard: string[] = [];
  circuit.onChange((state) => heard.push(state))();
  trip();
  expect(heard).toEqual([]);
});

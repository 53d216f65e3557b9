import type { Clock } from '../../src/provider/circuit-breaker.js';

/** A clock that only the test moves; work that falls due is done in its order, each at its own time. */
export function manualClock(): Clock & { advance(ms: number): void } {
  let at = 0;
  const waiting: { at: number; work: () => void }[] = [];
  return {
    now: () => at,
    later: (ms, work) => {
      waiting.push({ at: at + ms, work });
      waiting.sort((a, b) => a.at - b.at);
    },
    advance: (ms) => {
      const until = at + ms;
      for (let next = waiting[0]; next && next.at <= until; next = waiting[0]) {
        waiting.shift();
        at = next.at;
        next.work();
      }
      at = until;
    },
  };
}

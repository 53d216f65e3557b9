import type fc from 'fast-check';
import { type History, observe } from './history.js';
import type { System } from './system.js';

/** Something that may happen, to the gateway and to the model alike. */
export type Command = fc.AsyncCommand<History, System>;

/** A command that acts on what `pick` finds, and is left out where that is nothing; then every OTP is looked at. */
export function command<T>(
  name: string,
  pick: (history: History) => T | undefined,
  act: (history: History, system: System, picked: T) => Promise<void>,
): Command {
  return {
    check: (history) => pick(history) !== undefined,
    run: async (history, system) => {
      const picked = pick(history);
      if (picked === undefined) return;
      system.counts.commands += 1;
      await act(history, system, picked);
      await observe(history, system);
    },
    toString: () => name,
  };
}

/** One of these, for any number. */
export function nth<T>(these: readonly T[], n: number): T | undefined {
  return these[n % these.length];
}

/** For a command that needs nothing. */
export const nothing = () => true;

export const anyOtp = (n: number) => (history: History) => nth([...history.otps.keys()], n);

/** A token that was not used before. */
export function newToken(history: History): string {
  history.tokens += 1;
  return `t${history.tokens}`;
}

/** A sweep reports an OTP that has no job from so long after it was written. */
export const enqueueGraceMs = 10_000;

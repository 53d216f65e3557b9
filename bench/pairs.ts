import { cpuTimeUs } from './support/cpu-time.js';
import { median } from './support/statistics.js';

/** What is compared: the gateway, a few lines of code for the same task, and what a good team would use. */
export type SideName = 'ours' | 'bare' | 'usual';

/** What the sides reached in turn, in the figure's unit. Null: there is nothing to compare with. */
export interface Pair {
  ours: number;
  bare: number | null;
  usual?: number;
  /** CPU time of each side's process, in µs for each that it made. */
  cpuUs?: Partial<Record<SideName, number>>;
}

/** How pairs become the one number that the goal is about. */
export type Judged = 'ratio' | 'difference' | 'ours';

export type Goal = { atLeast: number } | { atMost: number };

/** One line of the table. */
export interface Figure {
  name: string;
  unit: string;
  judged: Judged;
  /** Against bare. */
  goal: Goal;
  /** Against usual. */
  usualGoal?: Goal;
  pairs: Pair[];
}

/** The number that a goal is about: the median over the pairs, and the least and greatest of them. */
export interface Result {
  value: number;
  least: number;
  greatest: number;
  reached: boolean;
}

/** One side of a comparison: makes `count` of something, and answers how fast it was. */
export type Side = (count: number) => Promise<number>;

export interface Sides {
  ours: Side;
  bare: Side;
  usual?: Side;
  /** The process of each side whose CPU time counts. */
  pids?: Partial<Record<SideName, number | undefined>>;
}

/** How much is measured. */
export interface Extent {
  rounds: number;
  /** What a side makes in each. */
  count: number;
  /** What it makes before the first one: a process that has just started is slow, and ours runs for weeks. */
  warmUp: number;
}

/** Measures the sides in turn, in one order and then in the opposite one. */
export async function takePairs({ rounds, count, warmUp }: Extent, sides: Sides): Promise<Pair[]> {
  const order = (['usual', 'bare', 'ours'] as const).filter((name) => sides[name]);
  if (warmUp > 0) await takePair(warmUp, sides, order);
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round++)
    pairs.push(await takePair(count, sides, round % 2 === 0 ? order : order.toReversed()));
  return pairs;
}

async function takePair(count: number, sides: Sides, order: readonly SideName[]): Promise<Pair> {
  const pair: Pair = { ours: 0, bare: 0 };
  for (const name of order) {
    const pid = sides.pids?.[name];
    const before = pid === undefined ? 0 : cpuTimeUs(pid);
    pair[name] = (await sides[name]?.(count)) ?? 0;
    if (pid !== undefined) pair.cpuUs = { ...pair.cpuUs, [name]: (cpuTimeUs(pid) - before) / count };
  }
  return pair;
}

/** The result against bare. */
export function resultOf({ pairs, judged, goal }: Figure): Result {
  return summary(pairs, judged, goal);
}

/** The result against usual; null: nothing was measured to compare with. */
export function usualResultOf({ pairs, judged, usualGoal }: Figure): Result | null {
  if (!usualGoal) return null;
  const against = pairs.map(({ ours, usual = null }) => ({ ours, bare: usual }));
  return summary(against, judged, usualGoal);
}

function summary(pairs: readonly Pair[], judged: Judged, goal: Goal): Result {
  const values = pairs.map((pair) => judge(pair, judged));
  const value = median(values);
  return {
    value,
    least: Math.min(...values),
    greatest: Math.max(...values),
    reached: 'atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost,
  };
}

/** The number that one pair comes to. */
export function judge({ ours, bare }: Pair, judged: Judged): number {
  if (judged === 'ours') return ours;
  if (bare === null) throw new Error('nothing was measured to compare with');
  return judged === 'ratio' ? ours / bare : ours - bare;
}

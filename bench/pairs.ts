import { median } from './support/statistics.js';

/** What the two sides reached in turn, in the figure's unit. Null: there is nothing to compare with. */
export interface Pair {
  ours: number;
  bare: number | null;
}

/** How pairs become the one number that the goal is about. */
export type Judged = 'ratio' | 'difference' | 'ours';

export type Goal = { atLeast: number } | { atMost: number };

/** One line of the table. */
export interface Figure {
  name: string;
  unit: string;
  judged: Judged;
  goal: Goal;
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
}

/** How much is measured. */
export interface Extent {
  rounds: number;
  /** What a side makes in each. */
  count: number;
  /** What it makes before the first one: a process that has just started is slow, and ours runs for weeks. */
  warmUp: number;
}

/** Measures both sides in turn, first the one and then the other first. */
export async function takePairs({ rounds, count, warmUp }: Extent, sides: Sides): Promise<Pair[]> {
  if (warmUp > 0) await takePair(warmUp, sides, true);
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round++) pairs.push(await takePair(count, sides, round % 2 === 0));
  return pairs;
}

async function takePair(count: number, { ours, bare }: Sides, bareFirst: boolean): Promise<Pair> {
  if (!bareFirst) return { ours: await ours(count), bare: await bare(count) };
  const before = await bare(count);
  return { ours: await ours(count), bare: before };
}

export function resultOf({ pairs, judged, goal }: Figure): Result {
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

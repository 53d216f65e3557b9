import {
  type Figure,
  type Goal,
  type Pair,
  type Result,
  resultOf,
  type SideName,
  usualResultOf,
} from './pairs.js';
import type { Row } from './row.js';
import { median } from './support/statistics.js';

const columns = [
  ...['row', 'ours', 'bare', 'result', 'goal', 'usual', 'result against usual', 'goal'],
  'CPU in µs: ours, bare, usual',
];

export const tableHead = [row(columns), row(columns.map(() => '---'))].join('\n');

/**
 * A line of the table: medians of the sides in the newest of a row's runs, and the result of each run, oldest first; of a
 * single run, with its spread over the pairs. `judge`: whether today's goals were reached.
 */
export function tableLine(runs: readonly [Figure, ...Figure[]], judge: boolean): string {
  const [newest] = runs;
  const { name, unit, pairs, goal, usualGoal } = newest;
  const against = (found: readonly Result[], wanted: Goal) => [
    results(newest, found),
    judge ? `${goalText(newest, wanted)} ${reachedText(found)}` : '',
  ];
  const oldestFirst = runs.toReversed();
  return row([
    name,
    side(pairs, 'ours', unit),
    side(pairs, 'bare', unit),
    ...against(
      oldestFirst.map((run) => resultOf({ ...run, goal })),
      goal,
    ),
    side(pairs, 'usual', unit),
    ...(usualGoal
      ? against(
          oldestFirst.flatMap((run) => usualResultOf({ ...run, usualGoal }) ?? []),
          usualGoal,
        )
      : ['', '']),
    cpu(pairs),
  ]);
}

/** What each row measures, and what it is compared with. */
export function explained(rows: readonly Row[]): string {
  const lines = rows.map(({ name, also = [], what, bare }) => row([[name, ...also].join(', '), what, bare]));
  return [row(['row', 'measured', 'bare']), row(['---', '---', '---']), ...lines].join('\n');
}

/** The line of a row that could not be measured. */
export function failedLine(name: string, error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return row([name, '', '', `FAILED: ${text.replaceAll(/\s+/g, ' ').slice(0, 300)}`, '', '', '', '', '']);
}

function results(figure: Figure, found: readonly Result[]): string {
  const show = shown(figure);
  const [first] = found;
  if (!first || found.length > 1 || figure.pairs.length === 1)
    return found.map(({ value }) => show(value)).join(', ');
  return `${show(first.value)} (${show(first.least)} … ${show(first.greatest)})`;
}

function reachedText(found: readonly Result[]): string {
  const reached = found.filter((result) => result.reached).length;
  if (reached === found.length) return 'reached';
  return reached === 0 ? 'MISSED' : `reached in ${reached} of ${found.length}`;
}

/** How a figure's results are written. */
function shown({ judged, unit }: Figure): (value: number) => string {
  return (value) => (judged === 'ratio' ? `${value.toFixed(2)}×` : `${round(value)} ${unit}`);
}

function goalText(figure: Figure, goal: Goal): string {
  const show = shown(figure);
  return 'atLeast' in goal ? `≥ ${show(goal.atLeast)}` : `≤ ${show(goal.atMost)}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function side(pairs: readonly Pair[], which: SideName, unit: string): string {
  const values = pairs.map((pair) => pair[which] ?? null).filter((value) => value !== null);
  return values.length === 0 ? '–' : `${round(median(values))} ${unit}`;
}

function cpu(pairs: readonly Pair[]): string {
  const of = (which: SideName) => pairs.map(({ cpuUs }) => cpuUs?.[which]).filter((us) => us !== undefined);
  const sides = (['ours', 'bare', 'usual'] as const).map(of);
  if (sides.every((values) => values.length === 0)) return '';
  return sides.map((values) => (values.length === 0 ? '–' : Math.round(median(values)))).join(', ');
}

/** Three digits that mean something. */
function round(number: number): string {
  return Number(number.toPrecision(number >= 100 ? Math.floor(Math.log10(number)) + 1 : 3)).toLocaleString(
    'en-US',
  );
}

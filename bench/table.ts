import { type Figure, type Pair, resultOf } from './pairs.js';
import type { Runs } from './results.js';
import { median } from './support/statistics.js';

export const tableHead = [
  '| row | bare | ours | result | spread | goal | |',
  '|---|---|---|---|---|---|---|',
].join('\n');

/** A line of the table: medians of both sides, and the result with its spread over the pairs. */
export function tableLine(figure: Figure, judge: boolean): string {
  const { name, unit, pairs } = figure;
  const { value, least, greatest, reached } = resultOf(figure);
  const show = shown(figure);
  const spread = pairs.length > 1 ? `${show(least)} … ${show(greatest)}` : '';
  const result = judge ? (reached ? 'reached' : 'MISSED') : '';
  return row([
    name,
    side(pairs, 'bare', unit),
    side(pairs, 'ours', unit),
    show(value),
    spread,
    wanted(figure),
    result,
  ]);
}

/** Every row's newest run with the results of all its runs, oldest first, and with `goals` how they compare. */
export function resultsTable(runs: Runs, { goals }: { goals: boolean }): string {
  const lines = Object.values(runs).flatMap(([newest, ...older]) => {
    if (!newest) return [];
    const { name, unit, pairs } = newest;
    const all = [newest, ...older].reverse();
    const reached = all.filter(({ result }) => result.reached).length;
    const verdict =
      reached === all.length
        ? 'reached'
        : reached === 0
          ? 'MISSED'
          : `reached in ${reached} of ${all.length}`;
    return row([
      name,
      side(pairs, 'bare', unit),
      side(pairs, 'ours', unit),
      all.map(({ result }) => shown(newest)(result.value)).join(', '),
      ...(goals ? [wanted(newest), verdict] : []),
    ]);
  });
  const head = ['row', 'bare', 'ours', 'results of the last runs', ...(goals ? ['goal', ''] : [])];
  return [row(head), row(head.map(() => '---')), ...lines].join('\n');
}

/** How a figure's results are written. */
function shown({ judged, unit }: Figure): (value: number) => string {
  return (value) => (judged === 'ratio' ? `${value.toFixed(2)}×` : `${round(value)} ${unit}`);
}

function wanted(figure: Figure): string {
  const { goal } = figure;
  const show = shown(figure);
  return 'atLeast' in goal ? `≥ ${show(goal.atLeast)}` : `≤ ${show(goal.atMost)}`;
}

/** The line of a row that could not be measured. */
export function failedLine(name: string, error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return row([name, '', '', `FAILED: ${text.replaceAll(/\s+/g, ' ').slice(0, 300)}`, '', '', '']);
}

function row(cells: string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function side(pairs: Pair[], which: keyof Pair, unit: string): string {
  const values = pairs.map((pair) => pair[which]).filter((value) => value !== null);
  return values.length === 0 ? '–' : `${round(median(values))} ${unit}`;
}

/** Three digits that mean something. */
function round(number: number): string {
  return Number(number.toPrecision(number >= 100 ? Math.floor(Math.log10(number)) + 1 : 3)).toLocaleString(
    'en-US',
  );
}

import { type Figure, type Pair, resultOf } from './pairs.js';
import { median } from './support/statistics.js';

export const tableHead = [
  '| row | bare | ours | result | spread | goal | |',
  '|---|---|---|---|---|---|---|',
].join('\n');

/** A line of the table: medians of both sides, and the result with its spread over the pairs. */
export function tableLine(figure: Figure, judge: boolean): string {
  const { name, unit, judged, goal, pairs } = figure;
  const { value, least, greatest, reached } = resultOf(figure);
  const show = (number: number) =>
    judged === 'ratio' ? `${number.toFixed(2)}×` : `${round(number)} ${unit}`;
  const wanted = 'atLeast' in goal ? `≥ ${show(goal.atLeast)}` : `≤ ${show(goal.atMost)}`;
  const spread = pairs.length > 1 ? `${show(least)} … ${show(greatest)}` : '';
  const verdict = judge ? (reached ? 'reached' : 'MISSED') : '';
  return row([
    name,
    side(pairs, 'bare', unit),
    side(pairs, 'ours', unit),
    show(value),
    spread,
    wanted,
    verdict,
  ]);
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

import { type Goal, judge, type Pair, resultOf } from './pairs.js';
import type { Results, Run } from './results.js';

/*
 * The plot of all rows: how much of its goal each reaches, on a scale of doublings. 1 is the goal itself; one to the
 * right of it is twice as good.
 */

const size = { width: 860, row: 26, left: 190, right: 40, top: 104, bottom: 34 };
const scale = { from: 0.25, to: 16 };
const title = 'How much of its goal each benchmark reaches';
const reading =
  'Right is better, also where less is. Dot: one measurement. Bar: median of a run. 2×: twice as good. Goals against usual: in the table.';
const colours = { always: '#1d4ed8', everysec: '#ea580c' };

/** Where a share of the goal stands. */
const xOf = (reached: number) => {
  const part = Math.log2(Math.min(Math.max(reached, scale.from), scale.to) / scale.from);
  const whole = Math.log2(scale.to / scale.from);
  return size.left + (part / whole) * (size.width - size.left - size.right);
};

/** How much of the goal a value is: 1 meets it, more is better. */
const shareOf = (value: number, goal: Goal) =>
  'atLeast' in goal ? value / goal.atLeast : goal.atMost / Math.max(value, Number.MIN_VALUE);

const dots = ({ judged, goal, pairs }: Run, y: number, colour: string) =>
  pairs
    .map((pair: Pair) => xOf(shareOf(judge(pair, judged), goal)).toFixed(1))
    .map((cx) => `<circle cx="${cx}" cy="${y}" r="2.5" fill="${colour}" fill-opacity="0.45"/>`)
    .join('');

const medianBar = (run: Run, y: number, colour: string) => {
  const at = xOf(shareOf(resultOf(run).value, run.goal)).toFixed(1);
  return `<line x1="${at}" x2="${at}" y1="${y - 5}" y2="${y + 5}" stroke="${colour}" stroke-width="2.5"/>`;
};

function rowOf(name: string, { always, everysec }: Results, y: number): string {
  const drawn = (runs: readonly Run[] = [], at: number, colour: string) => {
    const [newest] = runs;
    // All by today's goal.
    const judged = newest ? runs.map((run) => ({ ...run, goal: newest.goal })) : [];
    return judged.map((run) => dots(run, at, colour) + medianBar(run, at, colour)).join('');
  };
  return [
    `<text x="${size.left - 12}" y="${y + 4}" text-anchor="end">${name}</text>`,
    drawn(always[name], y - 5, colours.always),
    drawn(everysec[name], y + 5, colours.everysec),
  ].join('');
}

function grid(bottom: number): string {
  const ticks = [];
  for (let at = scale.from; at <= scale.to; at *= 2) ticks.push(at);
  return ticks
    .map((at) => {
      const style = at === 1 ? 'stroke="#111" stroke-width="1.5"' : 'stroke="#ddd"';
      return (
        `<line x1="${xOf(at)}" x2="${xOf(at)}" y1="${size.top - 8}" y2="${bottom}" ${style}/>` +
        `<text x="${xOf(at)}" y="${bottom + 16}" text-anchor="middle">${at === 1 ? 'goal' : `${at}×`}</text>`
      );
    })
    .join('');
}

function legend(results: Results): string {
  const goal = xOf(1);
  const sides =
    `<text x="${goal - 8}" y="92" text-anchor="end" fill="#555">← missed</text>` +
    `<text x="${goal + 8}" y="92" fill="#555">reached →</text>`;
  const measured = (['always', 'everysec'] as const).filter((name) => Object.keys(results[name]).length > 0);
  return measured
    .map((name, i) => {
      const [at, colour] = [size.left + i * 190, colours[name]];
      return `<circle cx="${at}" cy="70" r="4" fill="${colour}"/><text x="${at + 10}" y="74">appendfsync ${name}</text>`;
    })
    .join('')
    .concat(sides);
}

/** An SVG of every run that is kept: a dot for each pair, a bar for each run's median. */
export function plot(results: Results): string {
  const names = Object.keys(results.always);
  const bottom = size.top + names.length * size.row;
  const lines = names.map((name, i) => rowOf(name, results, size.top + (i + 0.5) * size.row));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${bottom + size.bottom}" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="16" y="24" font-size="16" font-weight="600">${title}</text>`,
    `<text x="16" y="46" fill="#555">${reading}</text>`,
    legend(results),
    grid(bottom),
    ...lines,
    '</svg>\n',
  ].join('\n');
}

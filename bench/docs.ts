import { readFileSync, writeFileSync } from 'node:fs';
import { plot } from './plot.js';
import { type Results, type Runs, readResults } from './results.js';
import { rows } from './rows.js';
import { explained, tableHead, tableLine } from './table.js';

/* `npm run bench:docs`: writes the tables of docs/performance.md and its plot from bench/results.json. */

const document = 'docs/performance.md';
const picture = 'docs/images/performance.svg';

/** The text with what stands between the marks `<!-- name -->` and `<!-- /name -->` replaced. */
function replaced(text: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`${document} has no ${begin} … ${end}`);
  return `${text.slice(0, from)}${begin}\n\n${content}\n\n${text.slice(to)}`;
}

function machineLine({ cpu, cores, memoryGb, node, redis, bullmq }: Results['machine']): string {
  return `${cpu}, ${cores} cores, ${memoryGb} GB, Node ${node}, Redis ${redis}, BullMQ ${bullmq}.`;
}

const tableOf = (runs: Runs) => {
  const lines = Object.values(runs).flatMap(([newest, ...older]) =>
    newest ? [tableLine([newest, ...older], true)] : [],
  );
  return lines.length === 0 ? 'Not measured yet.' : [tableHead, ...lines].join('\n');
};

const results = readResults();
if (!results) throw new Error('nothing has been measured: run `npm run bench` first');
let text = readFileSync(document, 'utf8');
text = replaced(text, 'rows', explained(rows));
text = replaced(text, 'machine', machineLine(results.machine));
text = replaced(text, 'always', tableOf(results.always));
text = replaced(text, 'everysec', tableOf(results.everysec));
writeFileSync(document, text);
writeFileSync(picture, plot(results));

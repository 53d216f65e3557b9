// Measures the gateway's source and fails where it grows past its limits; part of `npm run check`.
import { readdirSync, readFileSync } from 'node:fs';
import { parseSync, Visitor } from 'vite';

/** Of `src/`, Lua included, and of the texts. Lower a limit freely; raise one only with a reason in the commit. */
const limits = {
  lines: 29_069,
  files: 235,
  linesPerFile: 379,
  exportsPer1000Lines: 27,
  typesPer1000Lines: 13,
  functionLinesP90: 20,
  readmeLines: 180,
  /** Words that people wrote: without generated pages and tables, and without the bars and rules of tables. */
  docsWords: 15_900,
};

const exported = /^(?:ExportNamed|ExportDefault|ExportAll)Declaration$/;

function measure(path) {
  const text = readFileSync(path, 'utf8');
  const lines = text.split('\n').length - 1;
  const facts = { path, module: path.split('/')[1] ?? '', lines, exports: 0, types: 0, functions: [] };
  if (!path.endsWith('.ts')) return facts;
  const { program } = parseSync(path, text);
  const lineAt = lineNumbers(text);
  const onFunction = (node) => {
    const from = lineAt(node.start);
    facts.functions.push({ path, from, lines: lineAt(node.end) - from + 1 });
  };
  const onType = () => {
    facts.types += 1;
  };
  facts.exports = program.body.filter(({ type }) => exported.test(type)).length;
  new Visitor({
    FunctionDeclaration: onFunction,
    FunctionExpression: onFunction,
    ArrowFunctionExpression: onFunction,
    TSInterfaceDeclaration: onType,
    TSTypeAliasDeclaration: onType,
  }).visit(program);
  return facts;
}

function lineNumbers(text) {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (starts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  };
}

const sum = (items, of) => items.reduce((total, item) => total + of(item), 0);
const quantile = (numbers, share) =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length * share)] ?? 0;
const row = (...cells) =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(12) : String(cell).padStart(8))).join('');
const print = (line) => process.stdout.write(`${line}\n`);

const paths = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.(ts|lua|js)$/.test(path))
  .map((path) => `src/${path.replaceAll('\\', '/')}`);
const files = paths.map(measure);
const modules = new Map();
for (const file of files) modules.set(file.module, [...(modules.get(file.module) ?? []), file]);

const generated = ['configuration.md', 'errors.md'];
const pages = ['docs', 'docs/guides'].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md') && !generated.includes(name))
    .map((name) => readFileSync(`${folder}/${name}`, 'utf8')),
);
const wordsOf = (text) =>
  text
    .replaceAll(/<!-- (\w+) -->[\s\S]*<!-- \/\1 -->/g, ' ')
    .replaceAll(/\||-{3,}/g, ' ')
    .split(/\s+/)
    .filter(Boolean).length;

const functions = files.flatMap((file) => file.functions);
const lines = sum(files, (file) => file.lines);
const found = {
  lines,
  files: files.length,
  linesPerFile: Math.max(...files.map((file) => file.lines)),
  exportsPer1000Lines: Math.round((sum(files, (file) => file.exports) * 1_000) / lines),
  typesPer1000Lines: Math.round((sum(files, (file) => file.types) * 1_000) / lines),
  functionLinesP90: quantile(
    functions.map((each) => each.lines),
    0.9,
  ),
  readmeLines: readFileSync('README.md', 'utf8').split('\n').length - 1,
  docsWords: sum(pages, wordsOf),
};

print(row('src/', 'files', 'lines', 'median', 'exports', 'types'));
for (const [name, group] of [...modules].sort(([a], [b]) => (a < b ? -1 : 1))) {
  const median = quantile(
    group.map((file) => file.lines),
    0.5,
  );
  print(
    row(
      name,
      group.length,
      sum(group, (file) => file.lines),
      median,
      sum(group, (file) => file.exports),
      sum(group, (file) => file.types),
    ),
  );
}
const longest = [...functions].sort((a, b) => b.lines - a.lines).slice(0, 5);
print(`longest functions: ${longest.map((each) => `${each.path}:${each.from} (${each.lines})`).join(', ')}`);
for (const [name, limit] of Object.entries(limits)) {
  const over = found[name] > limit;
  print(`${name}: ${found[name]} of at most ${limit}${over ? ' — too many' : ''}`);
  if (over) process.exitCode = 1;
}

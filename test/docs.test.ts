import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { probeFacts } from '../src/isms/probe-facts.js';
import { transitions } from '../src/otp/otp.js';

it('the state diagram in docs/states.md shows every move of the state machine, and no other', () => {
  const text = readFileSync('docs/states.md', 'utf8');
  const drawn = [...text.matchAll(/^ {2}(\w+) --> (\w+) :/gm)].map(([, from, to]) => `${from} → ${to}`);
  const allowed = Object.entries(transitions).flatMap(([from, all]) => all.map((to) => `${from} → ${to}`));
  expect(drawn.sort()).toEqual(allowed.sort());
});

it('docs/simulator.md lists every fact that a probe compares, and no other', () => {
  const block =
    /<!-- facts -->(.*)<!-- \/facts -->/s.exec(readFileSync('docs/simulator.md', 'utf8'))?.[1] ?? '';
  const [, , ...rows] = block.trim().split('\n');
  const cells = rows.map((row) => row.split('|').map((cell) => cell.trim()));
  expect(cells.map(([, id, assumption]) => [id, assumption])).toEqual(
    probeFacts.map(({ id, assumption }) => [`\`${id}\``, assumption]),
  );
});

it('docs/operations.md explains every event that is logged, and no other', () => {
  const texts = ['src', 'packages/simulator/src'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => readFileSync(join(folder, path), 'utf8')),
  );
  // Where a name has a part that changes, all of them begin alike.
  const logged = texts.flatMap((text) =>
    [...text.matchAll(/\bevent: ['`]([a-z_]+\.[a-z_]*)/g)].map(([, name]) => name),
  );
  const page = readFileSync('docs/operations.md', 'utf8').split('## Log events')[1] ?? '';
  const cells = [...page.matchAll(/^\| ([^|]+) \|/gm)].map(([, cell]) => cell ?? '');
  const explained = cells.flatMap((cell) =>
    [...cell.matchAll(/`([a-z_]+\.[a-z_]+)`/g)].map(([, name]) => name ?? ''),
  );
  expect(explained.length).toBeGreaterThan(30);
  expect(
    [...new Set(logged)].filter((name) => !explained.some((each) => each.startsWith(name ?? ''))),
  ).toEqual([]);
  expect(explained.filter((name) => !logged.some((each) => name.startsWith(each ?? '')))).toEqual([]);
});

it('each row of docs/reliability.md names a promise of docs/promises.md', () => {
  const rowsOf = (page: string) => readFileSync(page, 'utf8').match(/^\| .*(?= \|$)/gm) ?? [];
  const promises = rowsOf('docs/promises.md').map((row) => /^\| ([A-Z]\d+) /.exec(row)?.[1]);
  const [, , ...named] = rowsOf('docs/reliability.md').map((row) => row.split(' | ').at(-1)?.trim());
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((id) => !promises.includes(id))).toEqual([]);
});

const pages = [
  ...listMarkdown('.', false),
  ...['docs', 'packages', 'clients'].filter(existsSync).flatMap((folder) => listMarkdown(folder, true)),
];

it('every link between pages leads to a file, and to a heading in it', () => {
  expect(pages.length).toBeGreaterThan(50);
  const broken = pages.flatMap((page) => {
    const links = [...readFileSync(page, 'utf8').matchAll(/\]\((?!\w+:)([^)\s]+)\)/g)].map(
      ([, link]) => link ?? '',
    );
    return links.filter((link) => !leadsSomewhere(page, link)).map((link) => `${page}: ${link}`);
  });
  expect(broken).toEqual([]);
});

it('every source and test file that a page names exists', () => {
  // Decisions and the changelog tell of what was.
  const current = pages.filter((page) => !/^docs\/adr\/0|^CHANGELOG/.test(page));
  const named = current.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/`((?:src|test|bench|deploy|packages|clients)\/[\w./-]+)`/g)].map(
      ([, path]) => path ?? '',
    ),
  );
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((path) => !existsSync(path))).toEqual([]);
});

function listMarkdown(folder: string, recursive: boolean): string[] {
  return readdirSync(folder, { recursive, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !path.includes('node_modules'))
    .map((path) => join(folder, path));
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const file = path === '' ? page : join(dirname(page), path);
  if (!existsSync(file)) return false;
  return anchor === undefined || anchorsOf(file).has(anchor);
}

/** The ids that GitHub gives the headings of a page. */
function anchorsOf(file: string): Set<string> {
  const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/gm)].map(
    ([, heading]) => heading ?? '',
  );
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}

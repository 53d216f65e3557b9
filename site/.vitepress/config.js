// Builds the Markdown of this repository as a website, with llms.txt for language models: `npm run docs:site`.
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, relative, resolve } from 'node:path';
import { defineConfig } from 'vitepress';

const root = resolve(import.meta.dirname, '../..');
const folders = ['src', 'test', 'bench', 'deploy', 'scripts', 'site', 'packages/*/{src,test,dist}'];
const list = (folder, recursive) =>
  readdirSync(join(root, folder), { recursive, encoding: 'utf8' }).map((path) => posix.join(folder, path));
const pages = [
  ...list('.', false),
  ...list('docs', true),
  ...list('clients', true),
  ...list('packages', false).map((path) => `${path}/README.md`),
]
  .filter((path) => path.endsWith('.md'))
  .sort();

/** A folder's README is its index page. */
const rewrites = Object.fromEntries(
  pages
    .filter((page) => page.endsWith('README.md'))
    .map((page) => [page, page.replace('README.md', 'index.md')]),
);

/** The sections of docs/README.md, with the pages that their tables link to. */
const sections = readFileSync(join(root, 'docs/README.md'), 'utf8')
  .split(/^## /m)
  .slice(1)
  .map((section) => ({
    text: section.slice(0, section.indexOf('\n')),
    items: [...section.matchAll(/\[([^\]]+)\]\(([^)#]+\.md)\)/g)].map(([, text = '', link = '']) => ({
      text,
      page: posix.join('docs', link),
    })),
  }));

/** Links to a folder's README lead to its index page; links to sources, which the site has not, become code. */
function adaptLinks(md) {
  md.core.ruler.push('adapt-links', ({ tokens, env }) => {
    const file = env.realPath ?? env.path;
    for (const { children } of tokens) {
      let source = '';
      for (const token of children ?? []) {
        if (token.type === 'link_open') source = adaptLink(token, file);
        if (source === '' || !token.type.startsWith('link_')) continue;
        const attrs = token.type === 'link_open' ? [['title', source]] : null;
        Object.assign(token, { type: 'source', tag: 'code', attrs });
      }
    }
  });
}

/** Adapts a link to a page; returns the path of any other file of the repository. Throws if there is no such file. */
function adaptLink(token, file) {
  const href = token.attrGet('href') ?? '';
  if (/^(\w+:|#)/.test(href)) return '';
  const [path = ''] = href.split('#');
  const target = resolve(dirname(file), path);
  const linked = relative(root, target);
  if (!existsSync(target)) throw new Error(`${relative(root, file)}: dead link ${href}`);
  if (!pages.includes(linked)) return linked;
  token.attrSet('href', href.replace(/README\.md(?=#|$)/, 'index.md'));
  return '';
}

/** The id that GitHub gives a heading, which links between pages name. */
const slugify = (heading) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, '')
    .replaceAll(' ', '-');

/** Writes llms.txt (https://llmstxt.org), the pages it links to, and all of them in one file. */
function writeLlmsFiles({ outDir }) {
  for (const page of pages) cpSync(join(root, page), join(outDir, page));
  const index = sections.map(({ text, items }) =>
    [`## ${text}`, ...items.map((item) => `- [${item.text}](${item.page})`)].join('\n'),
  );
  const [title = '', , summary = ''] = readFileSync(join(root, 'README.md'), 'utf8').split('\n');
  writeFileSync(join(outDir, 'llms.txt'), `${[title, `> ${summary}`, ...index].join('\n\n')}\n`);
  const texts = pages.map((page) => `<!-- ${page} -->\n\n${readFileSync(join(root, page), 'utf8')}`);
  writeFileSync(join(outDir, 'llms-full.txt'), texts.join('\n'));
}

export default defineConfig({
  title: 'iSMS OTP gateway',
  description: 'Self-hosted gateway in front of the iSMS 2FA API',
  srcDir: root,
  srcExclude: folders.map((folder) => `${folder}/**`),
  outDir: resolve(import.meta.dirname, '../dist'),
  rewrites,
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  markdown: { config: adaptLinks, anchor: { slugify } },
  buildEnd: writeLlmsFiles,
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    sidebar: sections.map(({ text, items }) => ({
      text,
      items: items.map(({ text, page }) => ({ text, link: `/${rewrites[page] ?? page}` })),
    })),
  },
});

import { createHash } from 'node:crypto';
import type { Answer } from '../http/answer.js';
import { Html, html } from '../http/html.js';

/** Stands for this gateway's URL in a page; `pageAnswer` replaces it with the URL of the request. */
export const urlPlaceholder = 'https://gateway.invalid';

/** A page of HTML that loads nothing; works without its script, which only adds copy buttons. */
export function htmlPage(title: string, body: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${new Html(style)}</style>
</head>
<body>
${body}
<script>${new Html(copyScript)}</script>
</body>
</html>
`.text;
}

/** The answer with a page for a client that knows this gateway by the URL `origin`. */
export function pageAnswer(page: string, origin: string): Answer {
  return {
    status: 200,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policy,
      'Cache-Control': 'no-store',
    },
    body: page.replaceAll(urlPlaceholder, html`${origin}`.text),
  };
}

/** An example command with a copy button. */
export function command(text: string): Html {
  return html`<pre class="copy"><code>${text}</code></pre>`;
}

/** Light and dark by the reader's setting; a sidebar beside the text where it fits. */
const style = `
:root { color-scheme: light dark; --text: #1c2330; --soft: #5a6577; --line: #dde2ea; --ground: #fff;
  --raised: #f5f7fa; --link: #0b5cad; --get: #0b6e4f; --post: #0b5cad; --delete: #a62b2b; }
@media (prefers-color-scheme: dark) {
  :root { --text: #dfe5ee; --soft: #9aa7b8; --line: #2c3542; --ground: #12161c; --raised: #1a2029; --link: #7db7f5;
    --get: #5ec79d; --post: #7db7f5; --delete: #ef8a8a; }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; color: var(--text); background: var(--ground); font: 16px/1.55 system-ui, sans-serif; }
.page { max-width: 78rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
main { min-width: 0; }
main > section:first-child > h2 { margin-top: 0; }
h1 { font-size: 1.9rem; margin: 1rem 0 .5rem; }
h2 { margin: 3rem 0 .5rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
h3 { margin: 2.5rem 0 .25rem; font-size: 1.15rem; }
h4 { margin: 1.25rem 0 .35rem; font-size: .85rem; color: var(--soft); letter-spacing: .02em; }
a { color: var(--link); }
nav { font-size: .9rem; border: 1px solid var(--line); border-radius: 8px; padding: .5rem 1rem 1rem; }
nav p { margin: .75rem 0 .15rem; font-weight: 600; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li { margin: .15rem 0; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
code, pre { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
:not(pre) > code { background: var(--raised); border-radius: 4px; padding: .1em .3em; overflow-wrap: anywhere; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem;
  overflow-x: auto; margin: 0; }
.block { position: relative; margin: .35rem 0 1rem; }
.block button { position: absolute; top: .45rem; right: .45rem; font: inherit; font-size: .8rem; color: var(--text);
  background: var(--ground); border: 1px solid var(--line); border-radius: 6px; padding: .15rem .6rem; cursor: pointer; }
.block pre { padding-right: 5.5rem; }
.start { max-width: 56rem; }
header { max-width: 56rem; margin-bottom: 1.5rem; }
.path { font: 600 1rem ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.method { display: inline-block; min-width: 4.2rem; }
.get { color: var(--get); } .post { color: var(--post); } .delete { color: var(--delete); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
tr:target { background: var(--raised); }
td:first-child { white-space: nowrap; }
.start td:first-child { padding-right: 1.5rem; }
.start td:last-child { overflow-wrap: anywhere; }
.soft { color: var(--soft); }
@media (min-width: 64rem) {
  .with-nav { display: grid; grid-template-columns: 16rem minmax(0, 1fr); gap: 3rem; align-items: start; }
  .with-nav nav { position: sticky; top: 1rem; max-height: calc(100vh - 2rem); overflow-y: auto; }
}
@media (max-width: 63.99rem) { nav { columns: 2; } nav ul { break-before: avoid; } }
@media (max-width: 40rem) {
  h1 { font-size: 1.5rem; } .docs td:last-child { min-width: 14rem; }
  .block pre { padding: 2.6rem 1rem .8rem; }
}
`;

/** Adds a copy button to each command; browsers have no clipboard on plain HTTP other than localhost. */
const copyScript = `
if (navigator.clipboard) for (const pre of document.querySelectorAll('pre.copy')) {
  const block = document.createElement('div');
  block.className = 'block';
  pre.replaceWith(block);
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Copy';
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(pre.textContent);
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
  block.append(pre, button);
}
`;

const digest = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const policy = [
  "default-src 'none'",
  `style-src ${digest(style)}`,
  `script-src ${digest(copyScript)}`,
  'img-src data:',
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

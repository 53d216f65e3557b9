/*
 * The page's style sheet and script are files of their own, so that its content security policy can forbid all others.
 */

/** Copies codes, and refreshes messages and figures without losing what is typed into a form. */
export const inboxScript = `
const showButtons = () => {
  // Browsers offer the clipboard over https and on loopback only.
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll('button.copy')) button.hidden = false;
};

document.addEventListener('click', async ({ target }) => {
  if (!target.matches('button.copy')) return;
  await navigator.clipboard.writeText(target.dataset.code);
  target.textContent = 'Copied';
});

const refresh = async () => {
  const response = await fetch(location.href);
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const name of ['figures', 'messages']) {
    const selector = '[data-live="' + name + '"]';
    document.querySelector(selector).replaceWith(page.querySelector(selector));
  }
  showButtons();
};

showButtons();
const seconds = Number(document.body.dataset.refresh);
// A simulator that is stopped for a moment is asked again.
if (seconds > 0) setInterval(() => refresh().catch(() => {}), seconds * 1000);
`;

/** Light and dark, from a phone's width on. */
export const inboxStyle = `
:root {
  color-scheme: light dark;
  --ground: #f4f5f2; --sheet: #ffffff; --ink: #1c2321; --faint: #5b6662; --line: #dde1dc;
  --accent: #00695c; --bad: #b3261e; --code-ground: #ddf3ea; --code-ink: #00493f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #121715; --sheet: #1b2220; --ink: #e6ece9; --faint: #9aa8a3; --line: #303a37;
    --accent: #6fd6bf; --bad: #ffb4ab; --code-ground: #17483e; --code-ink: #c9fff0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 3rem;
  background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { margin: 0; font-size: 1.5rem; letter-spacing: -0.01em; }
h2 { margin: 0 0 0.25rem; font-size: 1.125rem; overflow-wrap: anywhere; }
p { margin: 0 0 0.75rem; }
header p, .links, .foot, section > p { color: var(--faint); }
a { color: var(--accent); text-underline-offset: 0.15em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
code, pre, .number, .text strong { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
code, pre { font-size: 0.875em; }
dd, p code { overflow-wrap: anywhere; }

.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1px; margin: 1rem 0 1.5rem;
  background: var(--line); border: 1px solid var(--line); border-radius: 0.75rem; overflow: hidden;
}
.figures div { background: var(--sheet); padding: 0.625rem 0.875rem; }
.figures dt { color: var(--faint); font-size: 0.8125rem; }
.figures dd { margin: 0; font-size: 1.125rem; font-weight: 600; font-variant-numeric: tabular-nums; }

main { display: grid; gap: 2rem; }
section { min-width: 0; }
.links a, nav a { white-space: nowrap; }
.links a, nav a { margin-right: 0.5rem; }
.messages { list-style: none; margin: 0; padding: 0; display: grid; gap: 0.625rem; }
.messages li, .empty {
  padding: 0.75rem 0.875rem; background: var(--sheet); border: 1px solid var(--line); border-radius: 0.75rem;
}
.head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; }
.head .number { font-weight: 600; }
.head time, .foot { color: var(--faint); font-size: 0.8125rem; }
.text { margin: 0.375rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.text strong {
  padding: 0.05em 0.35em; border-radius: 0.3em; background: var(--code-ground); color: var(--code-ink);
  letter-spacing: 0.06em; user-select: all;
}
.foot { margin: 0; }
.empty { padding: 1.5rem; text-align: center; border-style: dashed; }

button, input, select {
  font: inherit; font-size: 0.875rem; padding: 0.2rem 0.5rem; color: var(--ink); background: var(--sheet);
  border: 1px solid var(--line); border-radius: 0.375rem;
}
button { cursor: pointer; color: var(--accent); }
.settings form {
  display: flex; align-items: center; gap: 0.5rem; padding: 0.3rem 0; border-bottom: 1px solid var(--line);
}
.settings label { flex: 1; min-width: 6rem; }
.settings input, .settings select { width: 11rem; min-width: 0; }
.problems { color: var(--bad); }
pre {
  margin: 0 0 0.75rem; padding: 0.75rem; white-space: pre-wrap; overflow-wrap: anywhere;
  background: var(--sheet); border: 1px solid var(--line); border-radius: 0.5rem;
}
table { width: 100%; border-collapse: collapse; font-size: 0.9375rem; }
th, td { padding: 0.45rem 0.75rem 0.45rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
td:last-child { padding-right: 0; }
thead th { color: var(--faint); font-size: 0.8125rem; font-weight: 600; }
tbody th { font-weight: 400; white-space: nowrap; }
tbody th code { display: block; color: var(--faint); white-space: normal; }

@media (min-width: 60rem) {
  main { grid-template-columns: minmax(0, 1fr) minmax(0, 24rem); column-gap: 2.5rem; align-items: start; }
  main section:last-child { grid-column: 1 / -1; }
  tbody th code { display: inline; margin-left: 1rem; white-space: nowrap; }
}
`;

/** The look of the documentation page: light and dark by the reader's setting, one column on a phone. */
export const docsStyle = `
:root { color-scheme: light dark; --text: #1c2330; --soft: #5a6577; --line: #dde2ea; --ground: #fff;
  --raised: #f5f7fa; --link: #0b5cad; --get: #0b6e4f; --post: #0b5cad; --delete: #a62b2b; }
@media (prefers-color-scheme: dark) {
  :root { --text: #dfe5ee; --soft: #9aa7b8; --line: #2c3542; --ground: #12161c; --raised: #1a2029; --link: #7db7f5;
    --get: #5ec79d; --post: #7db7f5; --delete: #ef8a8a; }
}
* { box-sizing: border-box; }
body { margin: 0; color: var(--text); background: var(--ground); font: 16px/1.55 system-ui, sans-serif; }
main, header { max-width: 62rem; margin: 0 auto; padding: 1rem 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 1.9rem; margin: 0 0 .5rem; }
h2 { margin: 3rem 0 .5rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
h3 { margin: 2.5rem 0 .25rem; font-size: 1.15rem; }
h4 { margin: 1.25rem 0 .35rem; font-size: .85rem; color: var(--soft); letter-spacing: .02em; }
a { color: var(--link); }
nav ul { list-style: none; margin: 1rem 0 0; padding: 0; columns: 2; }
code, pre { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
:not(pre) > code { background: var(--raised); border-radius: 4px; padding: .1em .3em; overflow-wrap: anywhere; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem;
  overflow-x: auto; margin: .35rem 0 1rem; }
.path { font: 600 1rem ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.method { display: inline-block; min-width: 4.2rem; }
.get { color: var(--get); } .post { color: var(--post); } .delete { color: var(--delete); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
tr:target { background: var(--raised); }
td:first-child { white-space: nowrap; }
.soft { color: var(--soft); }
@media (max-width: 40rem) { nav ul { columns: 1; } h1 { font-size: 1.5rem; } td:last-child { min-width: 14rem; } }
`;

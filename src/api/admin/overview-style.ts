/** The overview's stylesheet: light and dark by the browser's setting, one column on a phone. */
export const overviewStyle = `
:root {
  color-scheme: light dark;
  --ground: #f4f5f2; --sheet: #ffffff; --ink: #1c2321; --faint: #5b6662; --line: #dde1dc;
  --accent: #00695c; --good: #00796b; --bad: #b3261e; --warn: #8a5a00; --bad-ground: #fbe9e7; --warn-ground: #fdf3dc;
  --series-1: #00796b; --series-2: #b3261e; --series-3: #b26a00; --series-4: #3f51b5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #121715; --sheet: #1b2220; --ink: #e6ece9; --faint: #9aa8a3; --line: #303a37;
    --accent: #6fd6bf; --good: #6fd6bf; --bad: #ff9d94; --warn: #f2c46d; --bad-ground: #3b1f1d; --warn-ground: #36290f;
    --series-1: #6fd6bf; --series-2: #ff9d94; --series-3: #f2c46d; --series-4: #a9b4ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 84rem; padding: 1.25rem 1rem 2rem;
  background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { margin: 0; font-size: 1.375rem; letter-spacing: -0.01em; }
h2 { margin: 0; font-size: 1rem; }
p { margin: 0; }
a { color: var(--accent); text-underline-offset: 0.15em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
header { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: flex-start; gap: 0.5rem 2rem; }
#state { color: var(--faint); }
#state.good { color: var(--good); }
#state.bad { color: var(--bad); font-weight: 600; }
nav { display: flex; gap: 1.25rem; }
nav a { padding: 0.25rem 0; }
main { display: grid; gap: 1rem; margin-top: 1rem; }
#alarms { list-style: none; margin: 0; padding: 0; display: grid; gap: 0.5rem; }
#alarms:empty { display: none; }
.alarm { padding: 0.625rem 0.875rem; border-radius: 0.75rem; border-left: 4px solid; }
.alarm.critical { background: var(--bad-ground); border-color: var(--bad); }
.alarm.warning { background: var(--warn-ground); border-color: var(--warn); }
#span { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0.375rem; justify-self: start; }
#span legend { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
#span input { position: absolute; opacity: 0; }
#span span {
  display: block; padding: 0.3rem 0.875rem; border: 1px solid var(--line); border-radius: 999px; background: var(--sheet);
  color: var(--faint); cursor: pointer; font-size: 0.9375rem;
}
#span input:checked + span { color: var(--sheet); background: var(--accent); border-color: var(--accent); }
#span input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: 2px; }
.tiles {
  display: grid; grid-template-columns: repeat(6, 1fr); gap: 1px; margin: 0;
  background: var(--line); border: 1px solid var(--line); border-radius: 0.75rem; overflow: hidden;
}
@media (max-width: 64rem) { .tiles { grid-template-columns: repeat(3, 1fr); } }
.tiles div { background: var(--sheet); padding: 0.75rem 1rem; }
.tiles dt { color: var(--faint); font-size: 0.875rem; }
.tiles dd { margin: 0; font-size: 1.625rem; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; letter-spacing: -0.02em; }
.tiles dd.more, .more { color: var(--faint); font-size: 0.8125rem; font-weight: 400; letter-spacing: 0; line-height: 1.5; }
@media (max-width: 34rem) {
  #span span { padding: 0.3rem 0.6rem; font-size: 0.875rem; }
  .tiles { grid-template-columns: repeat(2, 1fr); }
  .tiles dd { font-size: 1.375rem; white-space: nowrap; }
  .tiles dd.more { white-space: normal; }
}
.bad { color: var(--bad); }
.warn { color: var(--warn); }
.good { color: var(--good); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem; }
figure, section {
  margin: 0; padding: 0.875rem 1rem; background: var(--sheet); border: 1px solid var(--line); border-radius: 0.75rem; min-width: 0;
}
figcaption { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0 1rem; }
.charts figure:last-child { grid-column: 1 / -1; }
.chart { min-height: 12.5rem; margin-top: 0.25rem; }
.chart .none { padding: 4rem 1rem; text-align: center; color: var(--faint); }
.u-legend { font-size: 0.8125rem; text-align: left; color: var(--faint); }
.u-legend.u-inline { margin: 0; }
.u-legend :is(th, td) { font-weight: 400; border: 0; padding: 0.1rem 0.25rem 0.1rem 0; }
.u-legend .u-value { color: var(--ink); font-variant-numeric: tabular-nums; }
section[hidden] { display: none; }
form label { display: block; color: var(--faint); font-size: 0.875rem; }
.row { display: flex; gap: 0.5rem; margin-top: 0.25rem; max-width: 36rem; }
input[name="query"] {
  flex: 1; min-width: 0; padding: 0.45rem 0.625rem; font: inherit; color: inherit;
  background: var(--ground); border: 1px solid var(--line); border-radius: 0.5rem;
}
button {
  padding: 0.45rem 1rem; font: inherit; color: var(--sheet); background: var(--accent); border: 0; border-radius: 0.5rem; cursor: pointer;
}
button.quiet { color: var(--accent); background: none; border: 1px solid var(--line); padding: 0.2rem 0.75rem; }
button:disabled { opacity: 0.5; cursor: default; }
.empty { color: var(--faint); padding: 0.5rem 0 0.25rem; }
section table { width: 100%; border-collapse: collapse; font-size: 0.9375rem; margin-top: 0.5rem; }
section :is(th, td) { padding: 0.4rem 1rem 0.4rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
section th { color: var(--faint); font-size: 0.8125rem; font-weight: 600; white-space: nowrap; }
section td { font-variant-numeric: tabular-nums; }
section td:last-child { padding-right: 0; }
section tr:last-child td { border-bottom: 0; }
section td .more { display: block; max-width: 40ch; }
@media (max-width: 44rem) {
  section :is(table, tbody, tr) { display: block; }
  section thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  section tbody tr { padding: 0.5rem 0; border-bottom: 1px solid var(--line); }
  section tbody tr:last-child { border-bottom: 0; }
  section td { display: grid; grid-template-columns: 6.5rem 1fr; gap: 0.75rem; padding: 0.15rem 0; border: 0; }
  section td::before { content: attr(data-label); color: var(--faint); font-size: 0.8125rem; line-height: 1.8; }
  section td.blank { display: none; }
}
code { font: 0.875em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
#ranges code { white-space: nowrap; }
time { white-space: nowrap; }
footer { margin-top: 1.5rem; color: var(--faint); font-size: 0.8125rem; }
`;

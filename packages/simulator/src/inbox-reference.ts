import { type Behaviour, behaviours } from './behaviours.js';
import { type Html, html } from './html.js';
import { endpointPath } from './provider-endpoint.js';
import type { SimulatorState } from './state.js';

/** The settings as they are, and how to change them. */
export function renderSettings({ settings }: SimulatorState, host: string): Html {
  const rows = Object.entries(settings).map(
    ([name, value]) => html`<div><dt><code>${name}</code></dt><dd>${JSON.stringify(value)}</dd></div>`,
  );
  const example = `curl http://${host}/settings -H 'content-type: application/json' -d '{"credits": 0}'`;
  return html`<section aria-labelledby="settings">
<h2 id="settings">Settings</h2>
<p>The endpoint for your app is <code>http://${host}${endpointPath}</code>.</p>
<dl class="settings">${rows}</dl>
<p>Change any of them while it runs:</p>
<pre>${example}</pre>
<p>For programs: <a href="/inbox.json">inbox.json</a>, <a href="/stats.json">stats.json</a>,
<a href="/settings">settings</a>.</p>
</section>`;
}

/** The table of numbers that misbehave on purpose. */
export function renderNumbers(): Html {
  return html`<section aria-labelledby="numbers">
<h2 id="numbers">Numbers that misbehave on purpose</h2>
<p>Send to one of these and see what your app makes of it. Every other number is normal.</p>
<table>
<thead><tr><th scope="col">Number</th><th scope="col">SMS</th><th scope="col">What happens</th></tr></thead>
<tbody>${behaviours.map(renderBehaviour)}</tbody>
</table>
</section>`;
}

function renderBehaviour({ number, name, sms, does }: Behaviour): Html {
  return html`<tr>
<th scope="row"><span class="number">${number}</span><code>${breakable(name)}</code></th>
<td>${sms ? 'yes' : 'no'}</td>
<td>${renderCode(does)}</td>
</tr>
`;
}

function breakable(name: string): Html[] {
  return name.split('_').map((word, index) => (index === 0 ? html`${word}` : html`_<wbr>${word}`));
}

/** Text between backticks is code, as in the documentation. */
function renderCode(text: string): Html[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));
}

import { type Behaviour, behaviours, errorKinds } from './behaviours.js';
import { failureStyles } from './failure.js';
import { type Html, html } from './html.js';
import { endpointPath } from './provider-endpoint.js';
import { type Settings, settingNames, troubles } from './settings.js';
import type { SimulatorState } from './state.js';

/** Renders the settings as forms, one for each, so that saving one does not reset another. */
export function renderSettings(
  { settings }: SimulatorState,
  host: string,
  problems: readonly string[],
): Html {
  const forms = settingNames.map(
    (name) => html`<form method="post" action="/settings">
<label for="${name}"><code>${name}</code></label>${renderField(name, settings)}<button>Save</button>
</form>
`,
  );
  const example = `curl http://${host}/settings -H 'content-type: application/json' -d '{"credits": 0}'`;
  return html`<section aria-labelledby="settings">
<h2 id="settings">Settings</h2>
<p>The endpoint for your app is <code>http://${host}${endpointPath}</code>.</p>
${problems.map((problem) => html`<p class="problems" role="alert">Not saved: ${problem}</p>`)}
<div class="settings">${forms}</div>
<p>From a program:</p>
<pre>${example}</pre>
<p>JSON: <a href="/inbox.json">inbox.json</a>, <a href="/stats.json">stats.json</a>,
<a href="/settings">settings</a>.</p>
</section>`;
}

function renderField(name: keyof Settings, settings: Readonly<Settings>): Html {
  switch (name) {
    case 'credits':
      return html`<input id="credits" name="credits" type="number" min="0" step="any" required value="${settings.credits}">`;
    case 'expiresOn':
      return html`<input id="expiresOn" name="expiresOn" type="date" value="${settings.expiresOn ?? ''}">`;
    case 'latencyMs':
      return html`<input id="latencyMs" name="latencyMs" placeholder="0 or 100-900" required value="${latencyText(settings)}">`;
    case 'errorRate':
      return html`<input id="errorRate" name="errorRate" type="number" min="0" max="1" step="any" required value="${settings.errorRate}">`;
    case 'errorKind':
      return renderSelect(name, errorKinds, settings.errorKind);
    case 'trouble':
      return renderSelect(name, ['', ...troubles], settings.trouble ?? '');
    case 'refusal':
      return html`<input id="refusal" name="refusal" maxlength="200" placeholder="none" value="${settings.refusal ?? ''}">`;
    case 'failureStyle':
      return renderSelect(name, failureStyles, settings.failureStyle);
  }
}

function renderSelect(name: string, values: readonly string[], chosen: string): Html {
  const options = values.map((value) => {
    const text = value === '' ? 'none' : value;
    return value === chosen
      ? html`<option value="${value}" selected>${text}</option>`
      : html`<option value="${value}">${text}</option>`;
  });
  return html`<select id="${name}" name="${name}">${options}</select>`;
}

function latencyText({ latencyMs }: Readonly<Settings>): string {
  return typeof latencyMs === 'number' ? String(latencyMs) : `${latencyMs.min}-${latencyMs.max}`;
}

/** Renders the table of failure numbers. */
export function renderNumbers(): Html {
  return html`<section aria-labelledby="numbers">
<h2 id="numbers">Failure numbers</h2>
<p>Every other number is normal. SMS: whether one goes out and is charged.</p>
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

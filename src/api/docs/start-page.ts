import { html } from '../http/html.js';
import { command, htmlPage, urlPlaceholder } from './page.js';

/** Values of `npm start`, shown on the start page to a browser on the same machine; null for a secret of the user's own. */
export interface Development {
  apiKey: string | null;
  inboxUrl: string | null;
}

/** The page at `/`: what this is, and where to go. */
export function startPage({
  version,
  hasAdmin,
  development,
}: {
  version: string;
  hasAdmin: boolean;
  development: Development | null;
}): string {
  const { apiKey = null, inboxUrl = null } = development ?? {};
  const rows = [
    html`<tr><td><a href="/docs">API documentation</a></td><td>Every call with an example; also as <a href="/openapi.json">openapi.json</a></td></tr>`,
    hasAdmin
      ? html`<tr><td><a href="/admin">Admin pages</a></td><td>Overview, queues and jobs; they ask for a login</td></tr>`
      : [],
    html`<tr><td>Health</td><td><a href="/livez">/livez</a> and <a href="/readyz">/readyz</a></td></tr>`,
    inboxUrl === null
      ? []
      : html`<tr><td><a href="${inboxUrl}">SMS inbox</a></td><td>The iSMS simulator: no real SMS is sent</td></tr>`,
    apiKey === null ? [] : html`<tr><td>API key</td><td><code>${apiKey}</code> (development only)</td></tr>`,
  ].flat();
  const body = html`<div class="page start">
<main>
<h1>isms-otp-gateway</h1>
<p>This server sends one-time passwords by SMS through the iSMS 2FA API, and verifies them. Version ${version}.</p>
<div class="scroll"><table><tbody>${rows}</tbody></table></div>
<h2>Send an OTP</h2>
${command(curl('/v1/otps', '{"to":"+60123456789"}', apiKey))}
<h2>Verify it</h2>
<p>Replace <code>OTP_ID</code> with the <code>id</code> of the answer, and the code with that of the ${inboxUrl === null ? 'SMS' : html`<a href="${inboxUrl}">SMS</a>`}.</p>
${command(curl('/v1/otps/OTP_ID/verify', '{"code":"123456"}', apiKey))}
${apiKey === null ? html`<p class="soft">The operator of this gateway issues API keys.</p>` : []}
</main>
</div>`;
  return htmlPage('isms-otp-gateway', body);
}

function curl(path: string, json: string, apiKey: string | null): string {
  return [
    `curl ${urlPlaceholder}${path}`,
    apiKey === null ? '-H "Authorization: Bearer $API_KEY"' : `-H 'Authorization: Bearer ${apiKey}'`,
    "-H 'Content-Type: application/json'",
    `-d '${json}'`,
  ].join(' \\\n  ');
}

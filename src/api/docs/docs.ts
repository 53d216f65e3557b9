import { once } from '../../lib/memoize.js';
import type { ApiDependencies } from '../dependencies.js';
import { html } from '../http/html.js';
import { defineRoute, type Route } from '../http/route.js';
import { docsPage } from './docs-page.js';
import { type OpenApiDocument, openApiDocument } from './openapi.js';
import { command, htmlPage, pageAnswer, urlPlaceholder } from './page.js';

const tag = 'Documentation';

/** The start page, and the documentation of these routes and of itself, as data and as a page. */
export function docsRoutes(
  routes: readonly Route[],
  { version, admin, development = null }: ApiDependencies,
): Route[] {
  const hasAdmin = admin !== null;
  const start = (isLocal: boolean) =>
    startPage({ version, hasAdmin, development: isLocal ? development : null });
  const root = defineRoute({
    method: 'get',
    path: '/',
    operationId: 'getStartPage',
    tag,
    summary: 'Start page',
    description: 'HTML with links to the documentation, the admin pages and the health probes.',
    answers: { 200: { description: 'The page.', body: { mediaType: 'text/html' } } },
    problems: [],
    handle: async ({ origin, isLocal }) => pageAnswer(start(isLocal()), origin()),
  });
  const openapi = defineRoute({
    method: 'get',
    path: '/openapi.json',
    operationId: 'getOpenApi',
    tag,
    summary: 'OpenAPI document',
    description: 'This documentation as OpenAPI 3.1, generated from the schemas that validate the requests.',
    answers: { 200: { description: 'The document.', body: { mediaType: 'application/json' } } },
    problems: [],
    handle: async () => ({ status: 200, body: document() }),
  });
  const page = defineRoute({
    method: 'get',
    path: '/docs',
    operationId: 'getDocs',
    tag,
    summary: 'API documentation',
    description: 'This documentation as a page of HTML, generated from the OpenAPI document.',
    answers: { 200: { description: 'The page.', body: { mediaType: 'text/html' } } },
    problems: [],
    handle: async ({ origin }) => pageAnswer(documentPage(), origin()),
  });
  const document = once((): OpenApiDocument => openApiDocument([...routes, root, openapi, page], version));
  const documentPage = once((): string => docsPage(document()));
  return [root, openapi, page];
}

/** The page at `/`: what this is, and where to go. */
function startPage(options: {
  version: string;
  hasAdmin: boolean;
  development: Exclude<ApiDependencies['development'], undefined>;
}): string {
  const { version, hasAdmin, development } = options;
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

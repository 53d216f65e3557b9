import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Express } from 'express';
import { once } from '../../lib/memoize.js';
import type { ApiDependencies } from '../dependencies.js';
import { type Html, html, prose } from '../http/html.js';
import { problemCodes, problems } from '../http/problems.js';
import { defineRoute, type Route } from '../http/route.js';
import { type OpenApiDocument, openApiDocument } from './openapi.js';
import { pageAnswer, referencePage, urlPlaceholder } from './page.js';

const tag = 'Documentation';

/** The start page, the documentation of these routes and of itself, and the errors. */
export function docsRoutes(routes: readonly Route[], dependencies: ApiDependencies): Route[] {
  const { version } = dependencies;
  const page = { 200: { description: 'The page.', body: { mediaType: 'text/html' } } };
  const common = { method: 'get', tag, answers: page, problems: [] } as const;
  const documentation = [
    defineRoute({
      ...common,
      path: '/',
      operationId: 'getStartPage',
      summary: 'Start page',
      description: 'HTML with links to the documentation, the admin pages and the health probes.',
      handle: async ({ origin, isLocal }) =>
        pageAnswer('isms-otp-gateway', startPage(dependencies, isLocal()), origin()),
    }),
    defineRoute({
      ...common,
      path: '/openapi.json',
      operationId: 'getOpenApi',
      summary: 'OpenAPI document',
      description:
        'This documentation as OpenAPI 3.1, generated from the schemas that validate the requests.',
      answers: { 200: { description: 'The document.', body: { mediaType: 'application/json' } } },
      handle: async () => ({ status: 200, body: document() }),
    }),
    defineRoute({
      ...common,
      path: '/docs',
      operationId: 'getDocs',
      summary: 'API reference',
      description: 'This documentation as a page (Swagger UI), which can send requests with your API key.',
      handle: async () => referencePage(),
    }),
    defineRoute({
      ...common,
      path: '/docs/errors',
      operationId: 'getErrors',
      summary: 'Errors',
      description: 'Every problem code with its cause and remedy; the `type` of a problem leads here.',
      handle: async ({ origin }) => pageAnswer('Errors of isms-otp-gateway', errorsPage(), origin()),
    }),
  ];
  const document = once((): OpenApiDocument => openApiDocument([...routes, ...documentation], version));
  return documentation;
}

/** Where the build puts Swagger UI; tests read its package. */
const swaggerUi = ['./swagger-ui/', '../../../node_modules/swagger-ui-dist/']
  .map((folder) => fileURLToPath(new URL(folder, import.meta.url)))
  .find(existsSync);
if (!swaggerUi) throw new Error('Swagger UI is missing: build again (scripts/copy-assets.mjs)');

/** Serves the files of Swagger UI, streamed from the disk. */
export function serveSwaggerUi(app: Pick<Express, 'get'>): void {
  for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js']) {
    app.get(`/docs/${file}`, (_req, res) => res.sendFile(file, { root: swaggerUi }));
  }
}

/** Every problem code; the target of a problem's `type`. */
function errorsPage(): Html {
  const rows = problemCodes.map((code) => {
    const { status, title, detail, advice } = problems[code];
    return html`<tr id="${code}"><td><code>${code}</code></td><td>${status}</td>
<td><strong>${title}.</strong> ${prose(detail)}</td><td>${prose(advice)}</td></tr>`;
  });
  return html`<div class="page">
<main>
<h1>Errors</h1>
<p>Every error is <code>application/problem+json</code> (RFC 9457); <code>code</code> is one of these, and
<code>type</code> leads to its row. See also the <a href="/docs">API reference</a>.</p>
<div class="scroll"><table>
<thead><tr><th>Code</th><th>Status</th><th>Description</th><th>What to do</th></tr></thead>
<tbody>${rows}</tbody></table></div>
</main>
</div>`;
}

/** The page at `/`: what this is, and where to go. */
function startPage({ version, admin, development }: ApiDependencies, isLocal: boolean): Html {
  const { apiKey = null, inboxUrl = null } = (isLocal ? development : null) ?? {};
  const rows = [
    html`<tr><td><a href="/docs">API reference</a></td><td>Every call, to read and to try; also as <a href="/openapi.json">openapi.json</a></td></tr>`,
    html`<tr><td><a href="/docs/errors">Errors</a></td><td>Every problem code, and what to do</td></tr>`,
    admin
      ? html`<tr><td><a href="/admin">Admin pages</a></td><td>Overview, queues and jobs; they ask for a login</td></tr>`
      : [],
    html`<tr><td>Health</td><td><a href="/livez">/livez</a> and <a href="/readyz">/readyz</a></td></tr>`,
    inboxUrl === null
      ? []
      : html`<tr><td><a href="${inboxUrl}">SMS inbox</a></td><td>The iSMS simulator: no real SMS is sent</td></tr>`,
    apiKey === null ? [] : html`<tr><td>API key</td><td><code>${apiKey}</code> (development only)</td></tr>`,
  ].flat();
  return html`<div class="page start">
<main>
<h1>isms-otp-gateway</h1>
<p>This server sends one-time passwords by SMS through the iSMS 2FA API, and verifies them. Version ${version}.</p>
<div class="scroll"><table><tbody>${rows}</tbody></table></div>
<h2>Send an OTP</h2>
<pre><code>${curl('/v1/otps', '{"to":"+60123456789"}', apiKey)}</code></pre>
<h2>Verify it</h2>
<p>Replace <code>OTP_ID</code> with the <code>id</code> of the answer, and the code with that of the ${inboxUrl === null ? 'SMS' : html`<a href="${inboxUrl}">SMS</a>`}.</p>
<pre><code>${curl('/v1/otps/OTP_ID/verify', '{"code":"123456"}', apiKey)}</code></pre>
${apiKey === null ? html`<p class="soft">The operator of this gateway issues API keys.</p>` : []}
</main>
</div>`;
}

function curl(path: string, json: string, apiKey: string | null): string {
  return [
    `curl ${urlPlaceholder}${path}`,
    apiKey === null ? '-H "Authorization: Bearer $API_KEY"' : `-H 'Authorization: Bearer ${apiKey}'`,
    "-H 'Content-Type: application/json'",
    `-d '${json}'`,
  ].join(' \\\n  ');
}

import { Html, html, prose } from '../http/html.js';
import { docsStyle } from './docs-style.js';
import { answerTable, memberTable, parameterTable, problemTable } from './docs-tables.js';
import type { OpenApiDocument, Operation, ResponseObject } from './openapi.js';

type Method = 'get' | 'post' | 'delete';

interface Entry {
  method: Method;
  path: string;
  operation: Operation;
}

/** The document as one page of HTML without scripts, readable with anything that reads HTML. */
export function docsPage(document: OpenApiDocument): string {
  const entries = entriesOf(document);
  const sections = document.tags.map(
    ({ name, description }) => html`<section><h2>${name}</h2><p class="soft">${description}</p>
${entries.filter(({ operation }) => operation.tags.includes(name)).map((entry) => section(entry, document))}</section>`,
  );
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${document.info.title} API</title>
<link rel="icon" href="data:,">
<style>${new Html(docsStyle)}</style>
</head>
<body>
<header>
<h1>${document.info.title} API</h1>
${document.info.description.split('\n\n').map((text) => html`<p>${prose(text)}</p>`)}
<p>Calls under <code>/v1</code> need <code>Authorization: Bearer &lt;key&gt;</code>.
The same as data: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
<nav><ul>${entries.map(contents)}<li><a href="#objects">Objects</a></li><li><a href="#problems">Problem codes</a></li></ul></nav>
</header>
<main>
${sections}
${objects(document)}
${problemTable()}
</main>
</body>
</html>
`;
  return page.text;
}

function entriesOf({ paths }: OpenApiDocument): Entry[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method: method as Method, path, operation })),
  );
}

function contents({ method, path, operation }: Entry): Html {
  const { operationId, summary } = operation;
  return html`<li><a href="#${operationId}">${summary}</a> <span class="soft"><code>${method.toUpperCase()} ${path}</code></span></li>`;
}

function section({ method, path, operation }: Entry, document: OpenApiDocument): Html {
  const media = operation.requestBody?.content['application/json'];
  const reference = media?.schema?.$ref?.split('/').at(-1) ?? '';
  const body = document.components.schemas[reference];
  return html`<article>
<h3 id="${operation.operationId}">${operation.summary}</h3>
<p class="path"><span class="method ${method}">${method.toUpperCase()}</span>${path}</p>
<p>${prose(operation.description)}</p>
${parameterTable(operation.parameters)}
${body ? memberTable('Body (application/json)', body) : []}
<h4>Example</h4>
<pre><code>${curl({ method, path, operation })}</code></pre>
${answerTable(operation.responses)}
${examples(operation.responses)}
</article>
`;
}

function examples(responses: Record<string, ResponseObject>): Html[] {
  return Object.entries(responses).flatMap(([status, { content }]) => {
    const value = content?.['application/json']?.examples?.['example']?.value;
    if (value === undefined) return [];
    return [html`<h4>Body of a ${status}</h4><pre><code>${JSON.stringify(value, null, 2)}</code></pre>`];
  });
}

/** What answers consist of; bodies of requests stand with their operations. */
function objects({ components: { schemas } }: OpenApiDocument): Html {
  const answered = Object.entries(schemas).filter(([name]) => !name.endsWith('Request'));
  return html`<section><h2 id="objects">Objects</h2>
${answered.map(([name, schema]) => html`<article>${memberTable(name, schema)}</article>`)}</section>`;
}

function curl({ method, path, operation }: Entry): string {
  const body = operation.requestBody?.content['application/json']?.examples?.['example']?.value;
  const query = operation.parameters
    .filter(({ in: place, required }) => place === 'query' && required)
    .map(({ name }) => `?${name}=signup-4711`);
  const url = `"$GATEWAY${path.replaceAll('{id}', '$OTP_ID')}${query.join('')}"`;
  return [
    `curl ${method === 'get' ? '' : `-X ${method.toUpperCase()} `}${url}`,
    operation.security.length > 0 ? '-H "Authorization: Bearer $API_KEY"' : '',
    body === undefined ? '' : `-H 'Content-Type: application/json'`,
    body === undefined ? '' : `-d '${JSON.stringify(body)}'`,
  ]
    .filter((part) => part !== '')
    .join(' \\\n  ');
}

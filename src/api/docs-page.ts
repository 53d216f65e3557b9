import { docsStyle } from './docs-style.js';
import { Html, html, prose } from './html.js';
import type { OpenApiDocument, Operation, Parameter, ResponseObject, Schema } from './openapi-types.js';
import { type ProblemCode, problemCodes, problems } from './problems.js';

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
<nav><ul>${entries.map(contents)}<li><a href="#problems">Problem codes</a></li></ul></nav>
</header>
<main>
${sections}
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
${body ? bodyTable(body) : []}
<h4>Example</h4>
<pre><code>${curl({ method, path, operation })}</code></pre>
<h4>Answers</h4>
${answerTable(operation.responses)}
${examples(operation.responses)}
</article>
`;
}

function parameterTable(parameters: readonly Parameter[]): Html | [] {
  if (parameters.length === 0) return [];
  const rows = parameters.map(
    ({ name, in: place, required, schema, description }) =>
      html`<tr><td><code>${name}</code></td><td>${place}${required ? ', required' : ''}</td>
<td>${shape(schema)}</td><td>${prose(description)}</td></tr>`,
  );
  return table('Parameters', ['Name', 'Where', 'Value', ''], rows);
}

function bodyTable({ properties = {}, required = [] }: Schema): Html {
  const rows = Object.entries(properties).map(
    ([name, schema]) => html`<tr><td><code>${name}</code>${required.includes(name) ? ' required' : ''}</td>
<td>${shape(schema)}</td><td>${prose(schema.description ?? '')}</td></tr>`,
  );
  return table('Body (application/json)', ['Member', 'Value', ''], rows);
}

function answerTable(responses: Record<string, ResponseObject>): Html {
  const rows = Object.entries(responses).map(
    ([status, { description, headers = {} }]) => html`<tr><td><strong>${status}</strong></td>
<td>${linked(description)}</td><td>${Object.keys(headers).map((name) => html`<code>${name}</code> `)}</td></tr>`,
  );
  return html`<div class="scroll"><table><thead><tr><th>Status</th><th></th><th>Headers</th></tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function examples(responses: Record<string, ResponseObject>): Html[] {
  return Object.entries(responses).flatMap(([status, { content }]) => {
    const value = content?.['application/json']?.examples?.['example']?.value;
    if (value === undefined) return [];
    return [html`<h4>Body of a ${status}</h4><pre><code>${JSON.stringify(value, null, 2)}</code></pre>`];
  });
}

/** Problem codes in the text lead to their line in the table. */
function linked(description: string): Html {
  const text = prose(description).text.replaceAll(/<code>(\w+)<\/code>/g, (code, word: string) =>
    problemCodes.includes(word as ProblemCode) ? `<a href="#${word}">${code}</a>` : code,
  );
  return new Html(text);
}

function problemTable(): Html {
  const rows = problemCodes.map((code) => {
    const { status, title, detail } = problems[code];
    return html`<tr id="${code}"><td><code>${code}</code></td><td>${status}</td>
<td><strong>${title}.</strong> ${prose(detail)}</td></tr>`;
  });
  return html`<section><h2 id="problems">Problem codes</h2>
<p>Every error is <code>application/problem+json</code> with <code>type</code>, <code>title</code>,
<code>status</code>, <code>detail</code> and one of these as <code>code</code>. Every 503 has
<code>Retry-After</code>.</p>
${table('', ['Code', 'Status', ''], rows)}</section>`;
}

function table(title: string, columns: readonly string[], rows: readonly Html[]): Html {
  return html`${title ? html`<h4>${title}</h4>` : []}<div class="scroll"><table>
<thead><tr>${columns.map((column) => html`<th>${column}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function shape(schema: Schema): Html {
  if (schema.enum) return html`${schema.enum.map((value) => html`<code>${String(value)}</code> `)}`;
  const { type = 'string', format, minimum, maximum } = schema;
  const range = minimum !== undefined && maximum !== undefined ? `, ${minimum} to ${maximum}` : '';
  const fallback = schema.default === undefined ? '' : `, default ${String(schema.default)}`;
  return html`${type}${format ? ` (${format})` : ''}${range}${fallback}`;
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

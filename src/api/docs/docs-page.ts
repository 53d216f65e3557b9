import { Html, html, prose } from '../http/html.js';
import { type ProblemCode, problemCodes, problems } from '../http/problems.js';
import type { OpenApiDocument, Operation, Schema } from './openapi.js';
import { command, htmlPage, urlPlaceholder } from './page.js';

interface Entry {
  method: string;
  path: string;
  operation: Operation;
}

/** The OpenAPI document as a page of HTML. */
export function docsPage(document: OpenApiDocument): string {
  const entries = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): Entry => ({ method, path, operation })),
  );
  const groups = document.tags.map((tag) => ({
    ...tag,
    entries: entries.filter(({ operation }) => operation.tags.includes(tag.name)),
  }));
  const body = html`<div class="page docs">
<header>
<h1>${document.info.title} API</h1>
${document.info.description.split('\n\n').map((text) => html`<p>${prose(text)}</p>`)}
<p>Calls under <code>/v1</code> need <code>Authorization: Bearer &lt;key&gt;</code>; the examples read the key from
<code>$API_KEY</code>. The same as data: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
</header>
<div class="with-nav">
<nav aria-label="Contents">
<p><a href="/">Start page</a></p>
${groups.map(
  ({ name, entries }) =>
    html`<p>${name}</p><ul>${entries.map(
      ({ operation: { operationId, summary } }) => html`<li><a href="#${operationId}">${summary}</a></li>`,
    )}</ul>`,
)}
<p>Reference</p><ul><li><a href="#objects">Objects</a></li><li><a href="#problems">Problem codes</a></li></ul>
</nav>
<main>
${groups.map(
  ({ name, description, entries }) => html`<section><h2>${name}</h2><p class="soft">${description}</p>
${entries.map((entry) => section(entry, document))}</section>`,
)}
${objects(document)}
${problemTable()}
</main>
</div>
</div>`;
  return htmlPage(`${document.info.title} API`, body);
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
${command(curl({ method, path, operation }))}
${responseTable(operation.responses)}
${examples(operation.responses)}
</article>
`;
}

function examples(responses: Operation['responses']): Html[] {
  return Object.entries(responses).flatMap(([status, { content }]) => {
    const value = content?.['application/json']?.examples?.['example']?.value;
    if (value === undefined) return [];
    return [html`<h4>Body of ${status}</h4><pre><code>${JSON.stringify(value, null, 2)}</code></pre>`];
  });
}

/** Objects of responses; request bodies are shown with their operations. */
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
  const id = path.includes('/batches/') ? '$BATCH_ID' : '$OTP_ID';
  const url = `"${urlPlaceholder}${path.replaceAll('{id}', id)}${query.join('')}"`;
  return [
    `curl ${method === 'get' ? '' : `-X ${method.toUpperCase()} `}${url}`,
    operation.security.length > 0 ? '-H "Authorization: Bearer $API_KEY"' : '',
    body === undefined ? '' : `-H 'Content-Type: application/json'`,
    body === undefined ? '' : `-d '${JSON.stringify(body)}'`,
  ]
    .filter((part) => part !== '')
    .join(' \\\n  ');
}

/** Parameters in the path, query and headers. */
function parameterTable(parameters: Operation['parameters']): Html | [] {
  if (parameters.length === 0) return [];
  const rows = parameters.map(
    ({ name, in: place, required, schema, description }) =>
      html`<tr><td><code>${name}</code></td><td>${place}${required ? ', required' : ''}</td>
<td>${shape(schema)}</td><td>${prose(description)}</td></tr>`,
  );
  return table('Parameters', ['Name', 'In', 'Type', 'Description'], rows);
}

function memberTable(title: string, { properties = {}, required = [] }: Schema): Html {
  const rows = Object.entries(properties).map(
    ([
      name,
      schema,
    ]) => html`<tr><td><code>${name}</code>${required.includes(name) ? html` <span class="soft">required</span>` : ''}</td>
<td>${shape(schema)}</td><td>${prose(schema.description ?? '')}</td></tr>`,
  );
  return table(title, ['Field', 'Type', 'Description'], rows);
}

function responseTable(responses: Operation['responses']): Html {
  const rows = Object.entries(responses).map(
    ([status, { description, headers = {} }]) => html`<tr><td><strong>${status}</strong></td>
<td>${linked(description)}</td><td>${Object.keys(headers).map((name) => html`<code>${name}</code> `)}</td></tr>`,
  );
  return table('Responses', ['Status', 'Description', 'Headers'], rows);
}

/** Links problem codes to their line in the table. */
function linked(description: string): Html {
  const text = prose(description).text.replaceAll(/<code>(\w+)<\/code>/g, (code, word: string) =>
    problemCodes.includes(word as ProblemCode) ? `<a href="#${word}">${code}</a>` : code,
  );
  return new Html(text);
}

/** Every problem code; the target of a problem's `type`. */
function problemTable(): Html {
  const rows = problemCodes.map((code) => {
    const { status, title, detail, advice } = problems[code];
    return html`<tr id="${code}"><td><code>${code}</code></td><td>${status}</td>
<td><strong>${title}.</strong> ${prose(detail)}</td><td>${prose(advice)}</td></tr>`;
  });
  return html`<section><h2 id="problems">Problem codes</h2>
<p>Every error is <code>application/problem+json</code> with <code>type</code>, <code>title</code>,
<code>status</code>, <code>detail</code> and <code>code</code>, one of these. Every 503 has
<code>Retry-After</code>.</p>
${table('', ['Code', 'Status', 'Description', 'What to do'], rows)}</section>`;
}

function table(title: string, columns: readonly string[], rows: readonly Html[]): Html {
  return html`${title ? html`<h4>${title}</h4>` : []}<div class="scroll"><table>
<thead><tr>${columns.map((column) => html`<th>${column}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function shape(schema: Schema): Html {
  if (schema.anyOf) return html`${schema.anyOf.map((each, i) => html`${i > 0 ? ' or ' : ''}${shape(each)}`)}`;
  if (schema.enum) return html`${schema.enum.map((value) => html`<code>${String(value)}</code> `)}`;
  const { type = schema.$ref?.split('/').at(-1) ?? 'string', format, minimum, maximum } = schema;
  const bounded = minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  const range = bounded ? `, ${minimum} to ${maximum}` : '';
  const fallback = schema.default === undefined ? '' : `, default ${String(schema.default)}`;
  return html`${type}${format ? ` (${format})` : ''}${range}${fallback}`;
}

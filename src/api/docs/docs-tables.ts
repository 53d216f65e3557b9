import { Html, html, prose } from '../http/html.js';
import { type ProblemCode, problemCodes, problems } from '../http/problems.js';
import type { Parameter, ResponseObject, Schema } from './openapi.js';

/** What goes into path, query and headers; nothing when nothing does. */
export function parameterTable(parameters: readonly Parameter[]): Html | [] {
  if (parameters.length === 0) return [];
  const rows = parameters.map(
    ({ name, in: place, required, schema, description }) =>
      html`<tr><td><code>${name}</code></td><td>${place}${required ? ', required' : ''}</td>
<td>${shape(schema)}</td><td>${prose(description)}</td></tr>`,
  );
  return table('Parameters', ['Name', 'Where', 'Value', 'Meaning'], rows);
}

/** The members of an object. */
export function memberTable(title: string, { properties = {}, required = [] }: Schema): Html {
  const rows = Object.entries(properties).map(
    ([
      name,
      schema,
    ]) => html`<tr><td><code>${name}</code>${required.includes(name) ? html` <span class="soft">required</span>` : ''}</td>
<td>${shape(schema)}</td><td>${prose(schema.description ?? '')}</td></tr>`,
  );
  return table(title, ['Member', 'Value', 'Meaning'], rows);
}

/** Every status, what it means, and its headers. */
export function answerTable(responses: Record<string, ResponseObject>): Html {
  const rows = Object.entries(responses).map(
    ([status, { description, headers = {} }]) => html`<tr><td><strong>${status}</strong></td>
<td>${linked(description)}</td><td>${Object.keys(headers).map((name) => html`<code>${name}</code> `)}</td></tr>`,
  );
  return table('Answers', ['Status', 'Meaning', 'Headers'], rows);
}

/** Problem codes in the text lead to their line in the table. */
function linked(description: string): Html {
  const text = prose(description).text.replaceAll(/<code>(\w+)<\/code>/g, (code, word: string) =>
    problemCodes.includes(word as ProblemCode) ? `<a href="#${word}">${code}</a>` : code,
  );
  return new Html(text);
}

/** Every problem code, where its `type` leads. */
export function problemTable(): Html {
  const rows = problemCodes.map((code) => {
    const { status, title, detail, advice } = problems[code];
    return html`<tr id="${code}"><td><code>${code}</code></td><td>${status}</td>
<td><strong>${title}.</strong> ${prose(detail)}</td><td>${prose(advice)}</td></tr>`;
  });
  return html`<section><h2 id="problems">Problem codes</h2>
<p>Every error is <code>application/problem+json</code> with <code>type</code>, <code>title</code>,
<code>status</code>, <code>detail</code> and one of these as <code>code</code>. Every 503 has
<code>Retry-After</code>.</p>
${table('', ['Code', 'Status', 'Meaning', 'What to do'], rows)}</section>`;
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

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Answer } from '../http/answer.js';
import { Html, html, htmlPage } from '../http/html.js';

/** Stands for this gateway's URL in a page; `pageAnswer` replaces it with the URL of the request. */
export const urlPlaceholder = 'https://gateway.invalid';

/** The answer with a page for a client that knows this gateway by the URL `origin`. */
export function pageAnswer(title: string, body: Html, origin: string): Answer {
  const text = htmlPage(title, { head: html`<style>${new Html(style)}</style>`, body });
  return page(text.replaceAll(urlPlaceholder, html`${origin}`.text), policy);
}

const style = readFileSync(new URL('./browser/page.css', import.meta.url), 'utf8');

/** Asks no other host: without a validator, and with links into the page. */
const referenceScript = `
SwaggerUIBundle({ url: '/openapi.json', dom_id: '#reference', deepLinking: true, validatorUrl: null,
  defaultModelsExpandDepth: 0, displayRequestDuration: true, requestSnippetsEnabled: true });
`;

const reference = htmlPage('isms-otp-gateway API', {
  head: html`<link rel="stylesheet" href="/docs/swagger-ui.css">`,
  body: html`<main id="reference"></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script>${new Html(referenceScript)}</script>`,
});

/** The answer with the API reference, rendered by Swagger UI. */
export function referencePage(): Answer {
  return page(reference, referencePolicy);
}

function page(body: string, policy: string): Answer {
  return { status: 200, headers: { 'Content-Security-Policy': policy, 'Cache-Control': 'no-store' }, body };
}

const digest = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const strict = ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"];
const policy = [...strict, `style-src ${digest(style)}`, 'img-src data:'].join('; ');
const referencePolicy = [
  ...strict,
  "style-src 'self'",
  `script-src 'self' ${digest(referenceScript)}`,
  "img-src 'self' data:",
  "connect-src 'self'",
].join('; ');

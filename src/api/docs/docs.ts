import { createHash } from 'node:crypto';
import { defineRoute, type Route } from '../http/route.js';
import { docsPage } from './docs-page.js';
import { docsStyle } from './docs-style.js';
import { openApiDocument } from './openapi.js';

const tag = 'Documentation';
const styleDigest = createHash('sha256').update(docsStyle).digest('base64');
const pagePolicy = `default-src 'none'; style-src 'sha256-${styleDigest}'; img-src data:; base-uri 'none'; frame-ancestors 'none'`;

/** The documentation of these routes and of itself, as data and as a page; both are made once. */
export function docsRoutes(routes: readonly Route[], version: string): Route[] {
  const answers: { document?: object; page?: string } = {};
  const openapi = defineRoute({
    method: 'get',
    path: '/openapi.json',
    operationId: 'getOpenApi',
    tag,
    summary: 'This documentation as data',
    description: 'An OpenAPI 3.1 document, made from the same schemas that check the requests.',
    answers: { 200: { description: 'The document.', body: { mediaType: 'application/json' } } },
    problems: [],
    handle: async () => ({ status: 200, body: answers.document }),
  });
  const page = defineRoute({
    method: 'get',
    path: '/docs',
    operationId: 'getDocs',
    tag,
    summary: 'This documentation as a page',
    description: 'HTML without scripts, made from the document.',
    answers: { 200: { description: 'The page.', body: { mediaType: 'text/html' } } },
    problems: [],
    handle: async () => ({
      status: 200,
      headers: { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': pagePolicy },
      body: answers.page,
    }),
  });
  const document = openApiDocument([...routes, openapi, page], version);
  answers.document = document;
  answers.page = docsPage(document);
  return [openapi, page];
}

import type { ApiDependencies } from '../dependencies.js';
import { defineRoute, type Route } from '../http/route.js';
import { docsPage } from './docs-page.js';
import { openApiDocument } from './openapi.js';
import { pageAnswer } from './page.js';
import { startPage } from './start-page.js';

const tag = 'Documentation';

/** The start page, and the documentation of these routes and of itself, as data and as a page. */
export function docsRoutes(
  routes: readonly Route[],
  { version, admin, development = null }: ApiDependencies,
): Route[] {
  const hasAdmin = admin !== null;
  const start = startPage({ version, hasAdmin, development: null });
  const localStart = startPage({ version, hasAdmin, development });
  const answers: { document?: object; page?: string } = {};
  const root = defineRoute({
    method: 'get',
    path: '/',
    operationId: 'getStartPage',
    tag,
    summary: 'Start page',
    description: 'HTML with links to the documentation, the admin pages and the health probes.',
    answers: { 200: { description: 'The page.', body: { mediaType: 'text/html' } } },
    problems: [],
    handle: async ({ origin, isLocal }) => pageAnswer(isLocal() ? localStart : start, origin()),
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
    handle: async () => ({ status: 200, body: answers.document }),
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
    handle: async ({ origin }) => pageAnswer(answers.page ?? '', origin()),
  });
  const document = openApiDocument([...routes, root, openapi, page], version);
  answers.document = document;
  answers.page = docsPage(document);
  return [root, openapi, page];
}

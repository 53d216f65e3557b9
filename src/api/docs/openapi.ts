import { ApiProblem, problemDocument, problemMediaType } from '../http/problem.js';
import { type ProblemCode, problemCodes, problems } from '../http/problems.js';
import type { DocumentedAnswer, NamedBody, Route } from '../http/route.js';
import { componentSchemas, parameterSchemas, schemaReference } from './openapi-schemas.js';
import type { MediaType, OpenApiDocument, Operation, Parameter, ResponseObject } from './openapi-types.js';

const description = `Sends one-time passwords by SMS through the iSMS 2FA API, and verifies them.

Times are UTC with milliseconds, codes are strings, ids are opaque. Ignore members that you do not know.
Errors are problem documents (RFC 9457) with a stable \`code\`. Every answer to a request that can be read has an \`X-Request-Id\`.`;

const bearer = { apiKey: [] };

/** The OpenAPI document of exactly these routes. */
export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const paths: OpenApiDocument['paths'] = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(route) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'isms-otp-gateway',
      version,
      description,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: 'This gateway' }],
    tags: [
      { name: 'OTPs', description: 'Sending, looking up, verifying and cancelling.' },
      { name: 'Batches', description: 'Many OTPs at once: uploading, counting, listing, cancelling.' },
      { name: 'Balance', description: 'Credits of the iSMS account.' },
      { name: 'Health', description: 'For orchestrators and load balancers; no key needed.' },
      { name: 'Documentation', description: 'No key needed.' },
    ],
    security: [bearer],
    paths,
    components: {
      schemas: componentSchemas(routes),
      securitySchemes: {
        apiKey: { type: 'http', scheme: 'bearer', description: 'A key of your app, from the operator.' },
      },
    },
  };
}

function operation(route: Route): Operation {
  const { operationId, summary, tag, body } = route;
  return {
    operationId,
    tags: [tag],
    summary,
    description: route.description,
    security: needsKey(route) ? [bearer] : [],
    parameters: parameters(route),
    ...(body && {
      requestBody: {
        required: body.optional !== true,
        content: contentOf(body),
      },
    }),
    responses: responses(route),
  };
}

function parameters({ path, query, headers }: Route): Parameter[] {
  const ids = [...path.matchAll(/\{(\w+)\}/g)].map(
    ([, name = '']): Parameter => ({
      name,
      in: 'path',
      required: true,
      description: path.includes('/batches/') ? 'The id of a batch.' : 'The id of an OTP.',
      schema: { type: 'string' },
    }),
  );
  const others = [
    ...(query ? parameterSchemas(query).map((each) => ({ ...each, in: 'query' as const })) : []),
    ...(headers ? parameterSchemas(headers).map((each) => ({ ...each, in: 'header' as const })) : []),
  ].map(({ schema: { description = '', ...schema }, ...rest }): Parameter => {
    return { ...rest, description, schema };
  });
  return [...ids, ...others];
}

/** Codes that a route names itself, and those that any route of its kind can answer. */
export function problemsOf(route: Route): ProblemCode[] {
  const readsInput = route.body !== null || route.query !== null || route.headers !== null;
  const all = new Set<ProblemCode>(route.problems);
  if (readsInput) all.add('invalid_request');
  if (needsKey(route)) all.add('unauthorized');
  all.add('method_not_allowed').add('internal_error');
  return problemCodes.filter((code) => all.has(code));
}

function needsKey({ path }: Route): boolean {
  return path.startsWith('/v1/');
}

function responses(route: Route): Record<string, ResponseObject> {
  const good = Object.entries(route.answers).map(([status, answer]) => [status, goodResponse(answer)]);
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of problemsOf(route)) {
    const { status } = problems[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const bad = [...byStatus].map(([status, codes]) => [String(status), problemResponse(codes)]);
  return Object.fromEntries([...good, ...bad]);
}

function goodResponse({ description, headers = {}, body }: DocumentedAnswer): ResponseObject {
  const response: ResponseObject = { description, headers: documentedHeaders(headers) };
  if (!body) return response;
  const content = 'mediaType' in body ? { [body.mediaType]: {} } : contentOf(body);
  return { ...response, content };
}

function contentOf({ name, example, records }: NamedBody): Record<string, MediaType> {
  const others = records?.mediaTypes.map((type) => [type, { schema: schemaReference(records.name) }]) ?? [];
  return {
    'application/json': { schema: schemaReference(name), examples: { example: { value: example } } },
    ...Object.fromEntries(others),
  };
}

function problemResponse(codes: readonly ProblemCode[]): ResponseObject {
  const retries = codes.some((code) => problems[code].retryAfterSeconds !== undefined);
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    headers: documentedHeaders(retries ? { 'Retry-After': 'Seconds until it makes sense to ask again' } : {}),
    content: {
      [problemMediaType]: {
        schema: schemaReference('Problem'),
        examples: Object.fromEntries(codes.map((code) => [code, { value: problemExample(code) }])),
      },
    },
  };
}

function problemExample(code: ProblemCode) {
  if (code === 'incorrect_code')
    return problemDocument(new ApiProblem(code, { members: { attemptsRemaining: 4 } }));
  if (code !== 'invalid_request') return problemDocument(new ApiProblem(code));
  const errors = [{ path: 'message', message: 'must hold %OTP% exactly once' }];
  return problemDocument(new ApiProblem(code, { errors }));
}

function documentedHeaders(headers: Record<string, string>): NonNullable<ResponseObject['headers']> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [
      name,
      { description, required: false, schema: { type: 'string' } },
    ]),
  );
}

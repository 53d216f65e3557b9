import { z } from 'zod';
import { ApiProblem, problemDocument, problemMediaType } from '../http/problem.js';
import { type ProblemCode, problemCodes, problems } from '../http/problems.js';
import type { Route } from '../http/route.js';

/** An OpenAPI 3.1 document, as far as this API uses it (https://spec.openapis.org/oas/v3.1.1). */
export type OpenApiDocument = ReturnType<typeof openApiDocument>;

export type Operation = ReturnType<typeof operation>;

interface ResponseObject {
  description: string;
  headers?: Record<string, { description: string; required: boolean; schema: Schema }>;
  content?: Record<string, MediaType>;
}

interface MediaType {
  schema?: Schema;
  examples?: Record<string, { value: unknown }>;
}

/** JSON Schema 2020-12, as far as the documentation page reads it. */
export interface Schema {
  $ref?: string;
  type?: string;
  description?: string;
  format?: string;
  pattern?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  minimum?: number;
  maximum?: number;
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  [keyword: string]: unknown;
}

const description = `Sends one-time passwords by SMS through the iSMS 2FA API, and verifies them.

Times are UTC with milliseconds, codes are strings, ids are opaque. Ignore unknown members.
Errors are problem documents (RFC 9457) with a stable \`code\`. Answers have an \`X-Request-Id\`, under which the log holds more.`;

const bearer = { apiKey: [] };

/** The OpenAPI document of exactly these routes. */
export function openApiDocument(routes: readonly Route[], version: string) {
  const paths: Record<string, Partial<Record<Route['method'], Operation>>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(route) };
  }
  return {
    openapi: '3.1.1',
    info: { title: 'isms-otp-gateway', version, description, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/', description: 'This gateway' }],
    tags: [
      { name: 'OTPs', description: 'Send, find, verify and cancel OTPs.' },
      { name: 'Batches', description: 'Upload many OTPs at once; count, list and cancel them.' },
      { name: 'Balance', description: 'Credits of the iSMS account.' },
      { name: 'Health', description: 'Probes for orchestrators and load balancers, without a key.' },
      { name: 'Documentation', description: 'Without a key.' },
    ],
    security: [bearer],
    paths,
    components: {
      schemas: componentSchemas(routes),
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'API key of your app; the operator issues it.',
        },
      },
    },
  };
}

function operation(route: Route) {
  const { operationId, summary, tag, body } = route;
  return {
    operationId,
    tags: [tag],
    summary,
    description: route.description,
    security: needsKey(route) ? [bearer] : [],
    parameters: parameters(route),
    ...(body && {
      requestBody: { required: body.optional !== true, content: contentOf(body) },
    }),
    responses: responses(route),
  };
}

function parameters({ path, query, headers }: Route) {
  const ids = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => {
    const description = path.includes('/batches/') ? 'The id of a batch.' : 'The id of an OTP.';
    return { name, in: 'path' as const, required: true, description, schema: { type: 'string' } as Schema };
  });
  const others = [
    ...(query ? parameterSchemas(query).map((each) => ({ ...each, in: 'query' as const })) : []),
    ...(headers ? parameterSchemas(headers).map((each) => ({ ...each, in: 'header' as const })) : []),
  ].map(({ schema: { description = '', ...schema }, ...rest }) => ({ ...rest, description, schema }));
  return [...ids, ...others];
}

/** The problem codes of a route, and those of every route of its kind. */
function problemsOf(route: Route): ProblemCode[] {
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

function goodResponse({ description, headers = {}, body }: Route['answers'][number]): ResponseObject {
  const response: ResponseObject = { description, headers: documentedHeaders(headers) };
  if (!body) return response;
  const content = 'mediaType' in body ? { [body.mediaType]: {} } : contentOf(body);
  return { ...response, content };
}

function contentOf(body: Omit<NonNullable<Route['body']>, 'optional' | 'read'>): Record<string, MediaType> {
  const { name, example, records } = body;
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
    headers: documentedHeaders(retries ? { 'Retry-After': 'Seconds until a retry makes sense' } : {}),
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

/** Schema of every error. */
export const problemSchema = z.looseObject({
  type: z.string().describe('Path of the explanation on the documentation page.'),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(problemCodes as [ProblemCode, ...ProblemCode[]]).describe('Stable identifier of the problem.'),
  errors: z
    .array(z.object({ path: z.string(), message: z.string() }))
    .optional()
    .describe('Each error in the input, with its path.'),
});

/** A reference to a named schema. */
function schemaReference(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** The named schemas of the routes, and `Problem`; the same schemas validate the requests. */
function componentSchemas(routes: readonly Route[]): Record<string, Schema> {
  const registry = z.registry<{ id: string }>();
  const names = new Set<string>();
  const add = (name: string, schema: z.ZodType) => {
    if (!names.has(name)) registry.add(schema, { id: name });
    names.add(name);
  };
  const addBody = ({ name, schema, records }: Omit<NonNullable<Route['body']>, 'optional' | 'read'>) => {
    add(name, schema);
    if (records) add(records.name, records.schema);
  };
  for (const { body, answers } of routes) {
    if (body) addBody(body);
    for (const answer of Object.values(answers)) {
      if (answer.body && 'schema' in answer.body) addBody(answer.body);
    }
  }
  add('Problem', problemSchema);
  const { schemas } = z.toJSONSchema(registry, {
    io: 'input',
    uri: (id) => `#/components/schemas/${id}`,
    override: plainer,
  });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, withoutIdentity(schema)]));
}

/** The members of an object schema after parsing, and whether they are required. */
function parameterSchemas(schema: z.ZodObject): { name: string; schema: Schema; required: boolean }[] {
  return Object.entries(schema.shape).map(([name, member]) => ({
    name,
    schema: withoutIdentity(z.toJSONSchema(member, { io: 'output', override: plainer })),
    required: !z.safeParse(member, undefined).success,
  }));
}

/** Drops the pattern of a format: several hundred characters without further information. */
function plainer({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
}

function withoutIdentity(schema: z.core.JSONSchema.BaseSchema): Schema {
  const { $schema: _dialect, $id: _id, ...rest } = schema;
  return rest as Schema;
}

import { z } from 'zod';
import { ApiProblem, problemDocument, problemMediaType } from '../http/problem.js';
import { type ProblemCode, problemCodes, problems } from '../http/problems.js';
import type { Route } from '../http/route.js';
import { namedSchemas } from '../routes/schemas.js';
import { documentedWebhooks } from './webhooks.js';

/** An OpenAPI 3.1 document, as far as this API uses it (https://spec.openapis.org/oas/v3.1.1). */
export type OpenApiDocument = ReturnType<typeof openApiDocument>;

export type Operation = ReturnType<typeof operation>;

interface ResponseObject {
  description: string;
  headers?: Record<string, { description: string; schema: Schema }>;
  content?: Record<string, MediaType>;
}

interface MediaType {
  schema?: Schema;
  examples?: Record<string, { value: unknown }>;
}

/** JSON Schema 2020-12. */
type Schema = z.core.JSONSchema.BaseSchema;

const description = `Sends one-time passwords by SMS through the iSMS 2FA API, and verifies them.

Times are UTC with milliseconds, codes are strings, ids are opaque. Ignore unknown members.
[Errors](/docs/errors) are problem documents (RFC 9457) with a stable \`code\`. Answers have an \`X-Request-Id\`, under which the log holds more.`;

const bearer = { apiKey: [] };

/** Headers of answers to a send, by draft-ietf-httpapi-ratelimit-headers-10; a cooldown is a policy of its own. */
export const rateLimitHeaders = {
  'RateLimit-Policy':
    'The active limits: `"recipient-cooldown";q=1;w=30` is one OTP to a number in 30 s (draft-ietf-httpapi-ratelimit-headers-10)',
  RateLimit: 'For each limit, what remains (`r`), and the seconds until more is available (`t`)',
};

/** The OpenAPI document of exactly these routes. */
export function openApiDocument(routes: readonly Route[], version: string) {
  const paths: Record<string, Partial<Record<Route['method'], Operation>>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(route) };
  }
  return {
    openapi: '3.1.1',
    info: {
      ...{ title: 'isms-otp-gateway', version, description },
      contact: { name: 'Operator of this gateway' },
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: 'This gateway' }],
    tags: [
      { name: 'OTPs', description: 'Send, find, verify and cancel OTPs.' },
      { name: 'Batches', description: 'Upload many OTPs at once; count, list and cancel them.' },
      { name: 'Balance', description: 'Credits of the iSMS account.' },
      { name: 'Statistics', description: 'Counts of an app over time.' },
      { name: 'Health', description: 'Probes for orchestrators and load balancers, without a key.' },
      { name: 'Documentation', description: 'Without a key.' },
      { name: 'Webhooks', description: 'Events that the gateway delivers to your receiver.' },
    ],
    security: [bearer],
    paths,
    webhooks: documentedWebhooks(),
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
    ...(body && { requestBody: { required: body.optional !== true, content: contentOf(body) } }),
    responses: responses(route),
  };
}

function parameters({ path, query, headers }: Route) {
  const description = path.includes('/batches/') ? 'The id of a batch.' : 'The id of an OTP.';
  const schema: Schema = { type: 'string' };
  const id = { name: 'id', in: 'path' as const, required: true, description, schema };
  return [
    ...(path.includes('{id}') ? [id] : []),
    ...parametersOf('query', query),
    ...parametersOf('header', headers),
  ];
}

/** The members of an object schema after parsing, and whether they are required. */
function parametersOf(place: 'query' | 'header', members: z.ZodObject | null) {
  return Object.entries(members?.shape ?? {}).map(([name, member]) => {
    const json = z.toJSONSchema(member, { io: 'output', unrepresentable: 'any', override: plainer });
    const { description = '', ...schema } = withoutIdentity(json);
    return { name, in: place, required: !z.safeParse(member, undefined).success, description, schema };
  });
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
  const byStatus = Map.groupBy(problemsOf(route), (code) => problems[code].status);
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
  const examples = Object.fromEntries(codes.map((code) => [code, { value: problemExample(code) }]));
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    headers: documentedHeaders(Object.assign({}, ...codes.map(problemHeaders))),
    content: { [problemMediaType]: { schema: schemaReference('Problem'), examples } },
  };
}

/** Descriptions of a problem's headers. */
function problemHeaders(code: ProblemCode): Record<string, string> {
  const { status } = problems[code];
  if (status === 401) return { 'WWW-Authenticate': '`Bearer` (RFC 6750)' };
  if (status === 405) return { Allow: 'The methods that this path supports' };
  // A locked number waits for the operator.
  const retries = status === 503 || (status === 429 && code !== 'recipient_locked');
  return {
    ...(retries && { 'Retry-After': 'Seconds until a retry makes sense' }),
    ...(code.endsWith('_rate_limited') && rateLimitHeaders),
  };
}

function problemExample(code: ProblemCode) {
  const errors = [{ path: 'message', message: 'must hold %OTP% exactly once' }];
  const members = { attemptsRemaining: 4 };
  const counted = code === 'incorrect_code' || code === 'binding_mismatch';
  const facts = code === 'invalid_request' ? { errors } : counted ? { members } : {};
  return problemDocument(new ApiProblem(code, facts), 'https://otp.example');
}

function documentedHeaders(headers: Record<string, string>): NonNullable<ResponseObject['headers']> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
  );
}

const problemCodeSchema = z
  .enum(problemCodes as [ProblemCode, ...ProblemCode[]])
  .describe('Stable identifier of a problem.');

/** Schema of every error. */
export const problemSchema = z
  .looseObject({
    type: z
      .string()
      .meta({ format: 'uri-reference', description: 'URL of the explanation at this gateway.' }),
    title: z.string().describe('Short name of the problem.'),
    status: z.int().describe('The HTTP status.'),
    detail: z.string().describe('What happened, in English.'),
    code: problemCodeSchema.describe('Stable, for programs.'),
    errors: z
      .array(
        z.object({
          path: z.string().describe('Path of the member or parameter.'),
          message: z.string().describe('What is wrong with it.'),
        }),
      )
      .optional()
      .describe('Each error in the input, with its path.'),
  })
  .describe('An error (RFC 9457).');

/** A reference to a named schema. */
function schemaReference(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** The named schemas of the routes, and `Problem`; the same schemas validate the requests. */
function componentSchemas(routes: readonly Route[]): Record<string, Schema> {
  const ofProblems = { ProblemCode: problemCodeSchema, Problem: problemSchema };
  const named: Record<string, z.ZodType> = { ...namedSchemas, ...ofProblems };
  for (const { body, answers } of routes) {
    for (const each of [body, ...Object.values(answers).map((answer) => answer.body)]) {
      if (!each || !('schema' in each)) continue;
      const { name, schema, records = each } = each;
      named[name] ??= schema;
      named[records.name] ??= records.schema;
    }
  }
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id });
  const uri = (id: string) => `#/components/schemas/${id}`;
  const { schemas } = z.toJSONSchema(registry, { io: 'input', uri, override: plainer });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, withoutIdentity(schema)]));
}

/** Drops the pattern of a format, several hundred characters long, and the limits that every integer has. */
function plainer({ jsonSchema }: { jsonSchema: Schema }): void {
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
}

function withoutIdentity({ $schema: _dialect, $id: _id, ...rest }: Schema): Schema {
  return rest;
}

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
// @ts-expect-error: the scripts have no types.
import { clientTypes } from '../../../scripts/client-types.mjs';
import { apiRoutes } from '../../../src/api/api.js';
import type { OpenApiDocument, Operation } from '../../../src/api/docs/openapi.js';
import { problemSchema } from '../../../src/api/docs/openapi.js';
import { problemCodes, problems } from '../../../src/api/http/problems.js';
import { namedSchemas } from '../../../src/api/routes/schemas.js';
import { packageVersion } from '../../../src/main/package-version.js';
import { eventTypes } from '../../../src/otp/event.js';
import { referenceSchema } from '../../../src/producer/otp-request.js';
import { settings, startGateway } from '../gateway.js';

const gateway = await startGateway();
const { json, text } = await gateway.call('GET', '/openapi.json', { key: null });
const document = json as OpenApiDocument;
const unused = new Proxy({}, { get: () => unused }) as never;
const routes = apiRoutes({
  store: unused,
  enqueuer: unused,
  sendOtpQueue: unused,
  batchQueue: unused,
  balanceQueue: unused,
  webhookQueue: unused,
  provider: unused,
  apps: unused,
  apiKeys: unused,
  ismsCompatApi: 'off',
  admin: null,
  trustedProxies: [],
  logger: unused,
  metrics: unused,
  settings,
  slices: unused,
  isEnding: unused,
  version: '0.0.0',
});
/** Members without a description, of an object at any depth. */
function undescribedMembers(schema: z.core.JSONSchema.BaseSchema): string[] {
  const inner = [...(schema.anyOf ?? []), ...[schema.items ?? []].flat()].filter(
    (each) => typeof each === 'object',
  );
  const members = Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    if (typeof member !== 'object') return [];
    return [
      ...(member.description ? [] : [name]),
      ...undescribedMembers(member).map((each) => `${name}.${each}`),
    ];
  });
  return [...members, ...inner.flatMap(undescribedMembers)];
}

const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation: operation as Operation })),
);

describe('the OpenAPI document', () => {
  it('has everything that OpenAPI 3.1 requires', () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.info).toMatchObject({ title: expect.any(String), version: packageVersion() });
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, operation } of operations) {
      const declared = operation.parameters.filter((each) => each.in === 'path').map(({ name }) => name);
      expect(declared).toEqual([...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]));
      const typed = ['type', '$ref', 'enum', 'anyOf', 'allOf'];
      const untyped = operation.parameters.filter(({ schema }) => !typed.some((word) => word in schema));
      expect(untyped.map(({ name }) => name)).toEqual([]);
      const described = Object.values(operation.responses).map(({ description }) => description);
      expect(described.every((description) => description.length > 0)).toBe(true);
    }
  });

  it('has only examples of `next` that its own routes accept', () => {
    const cursors = routes.flatMap(({ query, answers }) => {
      const body = answers[200]?.body;
      const { next } = (body && 'example' in body ? body.example : {}) as { next?: unknown };
      return typeof next === 'string' ? [query?.shape['cursor']?.safeParse(next).success] : [];
    });
    expect(cursors.length).toBeGreaterThan(0);
    expect(new Set(cursors)).toEqual(new Set([true]));
  });

  it('has no broken or external references', () => {
    const references = [...text.matchAll(/"\$ref":"([^"]*)"/g)].map(([, reference = '']) => reference);
    expect(references.length).toBeGreaterThan(10);
    for (const reference of references) {
      const name = /^#\/components\/schemas\/(\w+)$/.exec(reference)?.[1] ?? '';
      expect(Object.keys(document.components.schemas)).toContain(name);
    }
  });

  it('has an example of each problem code under its status', () => {
    // Answered by the admin pages, or before it is known which operation is asked for.
    const ofNoOperation = [
      'cross_site_request',
      'action_not_offered',
      'app_not_found',
      'too_many_jobs',
      'too_many_logins',
      'not_found',
      'headers_too_large',
      'request_timeout',
      'expectation_failed',
    ];
    const documented = new Set<string>();
    for (const { operation } of operations) {
      for (const [status, { content }] of Object.entries(operation.responses)) {
        for (const [code, { value }] of Object.entries(
          content?.['application/problem+json']?.examples ?? {},
        )) {
          documented.add(code);
          expect(problemSchema.parse(value)).toMatchObject({ code, status: Number(status) });
        }
      }
    }
    expect([...documented, ...ofNoOperation].sort()).toEqual([...problemCodes].sort());
    expect(document.components.schemas['ProblemCode']?.enum).toEqual(problemCodes);
  });

  it('is docs/openapi.json under the default settings; if not, run `npm run docs:write`', () => {
    expect(JSON.parse(readFileSync('docs/openapi.json', 'utf8'))).toEqual(document);
  });

  it('generates packages/client/src/api.ts; if not, run `npm run docs:write`', async () => {
    expect(readFileSync('packages/client/src/api.ts', 'utf8')).toBe(await clientTypes(document));
  });

  it('describes every schema, and every member of each', () => {
    const undescribed = Object.entries(document.components.schemas).flatMap(([name, schema]) => [
      ...(schema.description ? [] : [name]),
      ...undescribedMembers(schema).map((member) => `${name}.${member}`),
    ]);
    expect(undescribed).toEqual([]);
  });

  it('describes every parameter and every header', () => {
    for (const { path, operation } of operations) {
      for (const { name, description } of operation.parameters)
        expect([path, name, description]).toEqual([path, name, expect.stringMatching(/\w{3}/)]);
      for (const { headers = {} } of Object.values(operation.responses))
        for (const { description } of Object.values(headers)) expect(description).toMatch(/\w{3}/);
    }
  });

  it('names the headers of answers that ask for a key, or for a later retry', () => {
    const headersOf = (id: string, status: string) => {
      const found = operations.find(({ operation }) => operation.operationId === id);
      return Object.keys(found?.operation.responses[status]?.headers ?? {}).sort();
    };
    expect(headersOf('createOtp', '429')).toEqual(['RateLimit', 'RateLimit-Policy', 'Retry-After']);
    expect(headersOf('createOtps', '429')).toEqual(['Retry-After']);
    expect(headersOf('createOtp', '503')).toEqual(['Retry-After']);
    expect(headersOf('getOtp', '405')).toEqual(['Allow']);
    for (const { path, operation } of operations.filter(({ path }) => path.startsWith('/v1/')))
      expect([path, headersOf(operation.operationId, '401')]).toEqual([path, ['WWW-Authenticate']]);
  });

  it('has patterns that mean the same with and without the flag u', () => {
    const patterns = [...text.matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map(([, json = '']) =>
      JSON.parse(json),
    );
    expect(patterns.length).toBeGreaterThan(5);
    const samples = [
      'a',
      '',
      'a b',
      'signup-4711',
      'naïve',
      '喜',
      '😀',
      '\u0000',
      'a\u007f',
      '\ud83d',
      'MY',
      '123456',
    ];
    for (const pattern of patterns) {
      for (const sample of samples) {
        const [plain, unicode] = ['', 'u'].map((flags) => new RegExp(pattern, flags).test(sample));
        expect([pattern, sample, plain]).toEqual([pattern, sample, unicode]);
      }
    }
    const reference = z.toJSONSchema(referenceSchema).pattern ?? '';
    expect(patterns).toContain(reference);
    expect(samples.filter((sample) => new RegExp(reference).test(sample))).toHaveLength(8);
  });

  it('describes the delivery of every event, with an example of its data', () => {
    expect(Object.keys(document.webhooks).sort()).toEqual([...eventTypes].sort());
    for (const [type, { post }] of Object.entries(document.webhooks)) {
      const { schema, examples } = post.requestBody.content['application/json'];
      expect(schema.properties.type.const).toBe(type);
      const name = schema.properties.data.$ref.split('/').at(-1) as keyof typeof namedSchemas;
      expect(z.safeParse(namedSchemas[name], examples.example.value.data).error).toBeUndefined();
    }
  });

  it('shows examples that fit the schemas', () => {
    for (const { body, answers } of routes) {
      const documented = [body, ...Object.values(answers).map((answer) => answer.body)];
      for (const each of documented) {
        if (each && 'schema' in each) expect(z.safeParse(each.schema, each.example).error).toBeUndefined();
      }
    }
  });
});

describe('the API', () => {
  it('answers every documented operation', async () => {
    for (const { path, method, operation } of operations) {
      const { status } = await gateway.call(method.toUpperCase(), path.replace('{id}', 'x'));
      expect(Object.keys(operation.responses)).toContain(String(status));
      expect([method, path, status]).not.toEqual([method, path, 405]);
    }
  });

  it('answers 405 to every undocumented method of a documented path', async () => {
    for (const [path, item] of Object.entries(document.paths)) {
      for (const method of ['get', 'post', 'put', 'patch', 'delete']) {
        const { status } = await gateway.call(method.toUpperCase(), path.replace('{id}', 'x'));
        expect([path, method, status === 405]).toEqual([path, method, !(method in item)]);
      }
    }
  });

  it('serves no undocumented route', () => {
    const served = routes.map(({ method, path }) => `${method} ${path}`).sort();
    expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(served);
  });
});

it('the table has Retry-After for every 503, and for nothing else', () => {
  for (const code of problemCodes) {
    expect([code, problems[code].retryAfterSeconds !== undefined]).toEqual([
      code,
      problems[code].status === 503,
    ]);
  }
});

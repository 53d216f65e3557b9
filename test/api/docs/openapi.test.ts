import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { apiRoutes } from '../../../src/api/api.js';
import type { OpenApiDocument, Operation } from '../../../src/api/docs/openapi.js';
import { problemSchema } from '../../../src/api/docs/openapi.js';
import { problemCodes, problems } from '../../../src/api/http/problems.js';
import { packageVersion } from '../../../src/main/package-version.js';
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
  isEnding: unused,
  version: '0.0.0',
});
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
      expect(operation.parameters.every(({ schema }) => typeof schema === 'object')).toBe(true);
      const described = Object.values(operation.responses).map(({ description }) => description);
      expect(described.every((description) => description.length > 0)).toBe(true);
    }
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
    expect(document.components.schemas['Problem']?.properties?.['code']?.enum).toEqual(problemCodes);
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

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Simulator, startSimulator } from 'isms-2fa-simulator';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  account,
  type GatewayProcess,
  gatewayEnvironment,
  runCommand,
  written,
} from '../support/processes.js';
import { startRedis } from '../support/redis-topology.js';
import { requestBody } from '../support/request-body.js';

interface Span {
  /** Of the process. */
  resource: Record<string, string | undefined>;
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  attributes: Record<string, unknown>;
}

interface Exported {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: (Omit<Span, 'attributes' | 'resource'> & { attributes: Attribute[] })[] }[];
  }[];
}

interface Attribute {
  key: string;
  value: Record<string, unknown>;
}

const key = 'shop-key-for-the-tracing-tests';
const stops: (() => Promise<unknown>)[] = [];
/** Everything that the collector was sent, and the spans in it. */
let received = '';
const spans: Span[] = [];
const headersToIsms: string[] = [];
let simulator: Simulator;
let api: GatewayProcess;
let worker: GatewayProcess;
let url: string;

/** What an OpenTelemetry Collector is to the gateway: OTLP over HTTP, as JSON. */
async function startCollector(): Promise<string> {
  const server = createServer(async (req, res) => {
    const text = await requestBody(req);
    if (text === null) return;
    received += text;
    for (const { resource, scopeSpans } of (JSON.parse(text) as Exported).resourceSpans) {
      const ofProcess = resource.attributes.map(({ key: name, value }) => [name, value.stringValue]);
      for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
        const attributes = span.attributes.map(({ key: name, value }) => [name, Object.values(value)[0]]);
        spans.push({
          ...span,
          resource: Object.fromEntries(ofProcess),
          attributes: Object.fromEntries(attributes),
        });
      }
    }
    res.writeHead(200, { 'Content-Type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  stops.push(async () => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** In front of the simulator, to see what is sent along with a call. */
async function startProxy(endpoint: string): Promise<string> {
  const server = createServer(async (req, res) => {
    headersToIsms.push(req.rawHeaders.join(' '));
    const answer = await fetch(new URL(req.url ?? '', endpoint));
    res.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(await answer.text());
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  stops.push(async () => server.close());
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}${new URL(endpoint).pathname}`;
}

beforeAll(async () => {
  const collector = await startCollector();
  const redis = await startRedis();
  stops.push(() => redis.stop());
  simulator = await startSimulator(account);
  stops.push(() => simulator.close());
  const env = {
    ...gatewayEnvironment(redis.url, { endpoint: await startProxy(simulator.endpoint) }),
    LOG_LEVEL: 'info',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging',
  };
  api = runCommand('api', { ...env, PORT: '0', API_KEYS: `shop:${key}` });
  worker = runCommand('worker', { ...env, OTEL_SERVICE_NAME: 'otp-sender' });
  stops.push(
    () => api.end(),
    () => worker.end(),
  );
  url = (await written(api, /"event":"api.started","url":"([^"]+)"/))[1] ?? '';
  await written(worker, /"event":"worker.started"/);
  // The API listens before it reached Redis, and answers 503 until then.
  while (!(await fetch(`${url}/readyz`)).ok) await sleep(50);
}, 60_000);
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

const call = async (method: string, path: string, body?: object, headers: Record<string, string> = {}) => {
  const all = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json', ...headers };
  const response = await fetch(url + path, {
    method,
    headers: all,
    ...(body && { body: JSON.stringify(body) }),
  });
  return (await response.json()) as { id: string };
};
const named = (traceId: string, name: string) =>
  spans.find((span) => span.traceId === traceId && span.name === name);

it('a trace runs from the request through the queue to the call to iSMS, and goes on from the caller', {
  timeout: 60_000,
}, async () => {
  const [traceId, callerSpan] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
  const body = { to: '0123456911', reference: 'a-reference-of-the-app', message: 'Your code: %OTP%' };
  const { id } = await call('POST', '/v1/otps', body, { traceparent: `00-${traceId}-${callerSpan}-01` });
  await expect.poll(() => named(traceId, 'isms send'), { timeout: 20_000 }).toBeDefined();
  await expect.poll(() => named(traceId, 'POST /v1/otps'), { timeout: 20_000 }).toBeDefined();
  await expect.poll(() => named(traceId, 'process otp-send'), { timeout: 20_000 }).toBeDefined();
  const request = named(traceId, 'POST /v1/otps');
  const job = named(traceId, 'process otp-send');
  const sent = named(traceId, 'isms send');
  const staging = { 'deployment.environment.name': 'staging' };
  expect(request?.resource).toMatchObject({ 'service.name': 'isms-otp-api', ...staging });
  expect(job?.resource).toMatchObject({ 'service.name': 'otp-sender', ...staging });
  expect(request?.resource['service.instance.id']).toMatch(/^[\da-f-]{36}$/);
  expect(job?.resource['service.instance.id']).not.toBe(request?.resource['service.instance.id']);
  expect(request).toMatchObject({ parentSpanId: callerSpan });
  expect(request?.attributes).toMatchObject({ 'http.route': '/v1/otps', 'http.response.status_code': 202 });
  expect(job).toMatchObject({ attributes: { 'bullmq.job.id': id } });
  const parents = new Map(spans.map((span) => [span.spanId, span.parentSpanId]));
  const ancestors = (span: Span | undefined): string[] => {
    const parent = span && parents.get(span.spanId);
    return parent ? [parent, ...ancestors(spans.find(({ spanId }) => spanId === parent))] : [];
  };
  expect(ancestors(job)).toContain(request?.spanId);
  expect(ancestors(sent)).toContain(job?.spanId);
  expect(sent?.attributes).toMatchObject({ 'isms.call': 'send', 'isms.outcome': 'accepted' });
  // The log leads to the trace.
  expect(worker.output).toMatch(new RegExp(`"trace_id":"${traceId}","span_id":"[\\da-f]{16}"`));

  const [sms] = simulator.state.inbox({ mobile: '+60123456911', limit: 1 });
  await call('POST', `/v1/otps/${id}/verify`, { code: sms?.code ?? '' });
  await call('GET', '/v1/otps?reference=a-reference-of-the-app');
  await call('GET', '/v1/otps/+60123456911');
  await expect
    .poll(() => spans.find(({ name }) => name === 'isms verify'), { timeout: 20_000 })
    .toMatchObject({ attributes: { 'isms.outcome': 'correct' } });
  await expect.poll(() => spans.filter(({ name }) => name.startsWith('GET')).length).toBeGreaterThan(1);
  expect(spans.some(({ name }) => name === 'POST /v1/otps/{id}/verify')).toBe(true);

  const secrets = [account.password, key, '123456911', 'a-reference-of-the-app', 'Your code'];
  // A code of six digits is in many a number: as a word it is in none.
  expect(received).not.toMatch(new RegExp(`"${sms?.code}"|=${sms?.code}\\b`));
  for (const secret of secrets) expect(received, secret).not.toContain(secret);
  expect(received).not.toContain('request.php');
});

it('continues the trace of a caller with a valid key, and of no other', { timeout: 60_000 }, async () => {
  const [callerSpan, key2] = ['b7ad6b7169203331', `${key}x`];
  const traceIdOf = (n: number) => `${n}bf7651916cd43dd8448eb211c80319c`;
  const service = `/v2/Services/VA${'b'.repeat(32)}`;
  const requests: [path: string, authorization: string | null, status: number][] = [
    ['/v1/otps?reference=none', null, 401],
    ['/v1/otps?reference=none', `Bearer ${key2}`, 401],
    [`${service}/Verifications/VE${'0'.repeat(32)}`, `Basic ${btoa(`AC1:${key2}`)}`, 401],
    // The key is the password of HTTP Basic, as Twilio's libraries have it.
    [`${service}/Verifications/VE${'0'.repeat(32)}`, `Basic ${btoa(`AC1:${key}`)}`, 404],
  ];
  for (const [n, [path, authorization, status]] of requests.entries()) {
    const headers = {
      traceparent: `00-${traceIdOf(n)}-${callerSpan}-01`,
      ...(authorization !== null && { Authorization: authorization }),
    };
    expect((await fetch(url + path, { headers })).status).toBe(status);
  }
  const answeredWith = (status: number) =>
    spans.filter(({ attributes }) => attributes['http.response.status_code'] === status);
  await expect.poll(() => answeredWith(401), { timeout: 20_000 }).toHaveLength(3);
  await expect
    .poll(() => answeredWith(404).at(-1), { timeout: 20_000 })
    .toMatchObject({
      traceId: traceIdOf(3),
      parentSpanId: callerSpan,
    });
  for (const span of answeredWith(401)) expect(span).not.toHaveProperty('parentSpanId');
  for (const n of [0, 1, 2]) expect(received).not.toContain(traceIdOf(n));
});

it('iSMS sees nothing of the trace', () => {
  expect(headersToIsms.length).toBeGreaterThan(1);
  expect(headersToIsms.join('\n')).not.toMatch(/traceparent|0af7651916cd43dd8448eb211c80319c/i);
});

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { startSimulator } from 'isms-2fa-simulator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  account,
  type GatewayProcess,
  gatewayEnvironment,
  runCommand,
  written,
} from '../support/processes.js';
import { type Prometheus, startPrometheus } from '../support/prometheus.js';
import { freePort } from '../support/redis-server.js';
import { startRedis } from '../support/redis-topology.js';

const path = (name: string) => new URL(`../../deploy/${name}`, import.meta.url).pathname;
const read = (name: string) => readFileSync(path(name), 'utf8');
const promtool = async (...args: string[]) => await promisify(execFile)('promtool', args);

const alerts = read('prometheus/alerts.yml');
const alertNames = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
const dashboard = JSON.parse(read('grafana/dashboards/isms-otp.json')) as {
  templating: { list: { name: string; type: string; query: unknown }[] };
  panels: { title: string; targets?: { expr: string }[] }[];
};
const panels = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({
    title,
    expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$app', '.*'),
  })),
);

describe('the alerts', () => {
  it('are what promtool accepts, with a configuration that loads them', async () => {
    expect((await promtool('check', 'rules', path('prometheus/alerts.yml'))).stdout).toContain('SUCCESS');
    await promtool('check', 'config', path('prometheus/prometheus.yml'));
  });

  it('each have their place in docs/operations.md', () => {
    const headings = readFileSync(path('../docs/operations.md'), 'utf8').match(/^### .*$/gm) ?? [];
    const named = headings.flatMap((heading) => heading.slice(4).split(', '));
    expect(named.sort()).toEqual([...alertNames].sort());
  });

  it('each fire and clear', async () => {
    const { stdout } = await promtool('test', 'rules', path('prometheus/alerts.test.yml'));
    expect(stdout).toContain('SUCCESS');
    const tested = [...read('prometheus/alerts.test.yml').matchAll(/- name: (\w+)$/gm)].map(
      ([, name]) => name,
    );
    expect(tested).toEqual(alertNames);
  });
});

describe('the dashboard', () => {
  it('asks the Prometheus that its reader chooses, in every panel, variable and annotation', () => {
    const [first] = dashboard.templating.list;
    expect(first).toMatchObject({ name: 'datasource', type: 'datasource', query: 'prometheus' });
    const asked = [
      ...read('grafana/dashboards/isms-otp.json').matchAll(/"datasource": \{[^}]*"uid": "(.*)"/g),
    ];
    expect(asked.length).toBeGreaterThan(panels.length);
    expect(new Set(asked.map(([, uid]) => uid))).toEqual(new Set([`\${datasource}`]));
  });
});

describe('a real Prometheus', () => {
  const apiKey = 'shop-key-for-the-monitoring-tests';
  const stops: (() => Promise<unknown>)[] = [];
  let prometheus: Prometheus;
  let urls: Record<string, string>;
  let apiUrl: string;
  let simulator: Awaited<ReturnType<typeof startSimulator>>;

  const metricsUrl = async (process: GatewayProcess) =>
    (await written(process, /"event":"metrics.started","url":"([^"]+)"/))[1] ?? '';

  beforeAll(async () => {
    const redis = await startRedis();
    stops.push(() => redis.stop());
    simulator = await startSimulator(account);
    stops.push(() => simulator.close());
    const env = { ...gatewayEnvironment(redis.url, simulator), METRICS_PORT: '0', LOG_LEVEL: 'info' };
    const api = runCommand('api', { ...env, PORT: '0', API_KEYS: `shop:${apiKey}` });
    const worker = runCommand('worker', env);
    stops.push(
      () => api.end(),
      () => worker.end(),
    );
    urls = { 'isms-otp-api': await metricsUrl(api), 'isms-otp-worker': await metricsUrl(worker) };
    apiUrl = (await written(api, /"event":"api.started","url":"([^"]+)"/))[1] ?? '';
    prometheus = await startPrometheus(urls);
    stops.push(() => prometheus.stop());
  }, 60_000);
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  const call = async (where: string, body: object) => {
    const headers = { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json' };
    const response = await fetch(apiUrl + where, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: response.status, body: (await response.json()) as { id: string } };
  };

  it('scrapes API and worker and tells the conversion rate', { timeout: 60_000 }, async () => {
    for (const n of [1, 2, 3, 4]) {
      const { body } = await call('/v1/otps', { to: `012345680${n}` });
      const sms = await expect
        .poll(() => simulator.state.inbox({ mobile: `+6012345680${n}`, limit: 1 })[0], { timeout: 10_000 })
        .toBeDefined()
        .then(() => simulator.state.inbox({ mobile: `+6012345680${n}`, limit: 1 })[0]);
      if (n === 4) continue;
      await expect
        .poll(async () => (await call(`/v1/otps/${body.id}/verify`, { code: sms?.code ?? '' })).status)
        .toBe(200);
    }
    const rate = 'sum(isms_otp_verified_total) / sum(isms_otp_sent_total)';
    await expect
      .poll(async () => (await prometheus.query(rate))[0]?.value, { timeout: 20_000, interval: 250 })
      .toBe(0.75);
    const up = await prometheus.query('up == 1');
    expect(up.map(({ metric }) => metric['job']).sort()).toEqual(['isms-otp-api', 'isms-otp-worker']);
    // Both tell what they share, and the same.
    expect(await prometheus.query('sum(isms_otp_redis_up)')).toMatchObject([{ value: 2 }]);
  });

  it('understands every panel of the dashboard', async () => {
    expect(panels.length).toBeGreaterThan(20);
    for (const { title, expr } of panels) {
      await expect(prometheus.query(expr), title).resolves.toBeInstanceOf(Array);
    }
  });

  it('is asked for no metric that the gateway has not', async () => {
    const texts = await Promise.all(Object.values(urls).map(async (url) => await (await fetch(url)).text()));
    const kinds = texts.flatMap((text) => [...text.matchAll(/^# TYPE (\S+) (\S+)/gm)]);
    const known = new Set(
      kinds.flatMap(([, name = '', kind]) =>
        kind === 'histogram' ? ['bucket', 'sum', 'count'].map((part) => `${name}_${part}`) : [name],
      ),
    );
    const asked = [alerts, ...panels.map(({ expr }) => expr)].flatMap((text) => [
      ...text.matchAll(/\b(?:isms|nodejs|process)_\w+/g),
    ]);
    const unknown = [...new Set(asked.map(([name]) => name))].filter((name) => !known.has(name));
    expect(unknown).toEqual([]);
  });

  it('finds metrics named and described by its own rules', async () => {
    const complaints = async (text: string) =>
      await new Promise<string[]>((resolve) => {
        const lint = execFile('promtool', ['check', 'metrics'], (_error, stdout, stderr) =>
          resolve(`${stdout}${stderr}`.split('\n').filter((line) => /^(isms_|error)/.test(line))),
        );
        lint.stdin?.end(text);
      });
    expect(await complaints('# TYPE isms_sends counter\nisms_sends 1\n')).not.toEqual([]);
    for (const url of Object.values(urls)) {
      expect(await complaints(await (await fetch(url)).text())).toEqual([]);
    }
  });

  it('finds both healthy by the check of the image, and unhealthy where nothing answers', async () => {
    const [, check = ''] = /HEALTHCHECK .*\\\n +CMD (\[.*\])/.exec(read('../Dockerfile')) ?? [];
    const [command = '', ...args] = JSON.parse(check) as string[];
    const exitCode = async (port: string | number) =>
      await new Promise((resolve) => {
        const env = { PATH: process.env['PATH'], METRICS_PORT: String(port) };
        execFile(command, args, { env }, (error) => resolve(error?.code ?? 0));
      });
    const ports = Object.values(urls).map((url) => new URL(url).port);
    expect(await Promise.all(ports.map(exitCode))).toEqual([0, 0]);
    expect(await exitCode(await freePort())).toBe(1);
  });

  it('asks with GET at /metrics, and anything else is told so', async () => {
    const url = urls['isms-otp-worker'] ?? '';
    expect((await fetch(url, { method: 'POST' })).status).toBe(405);
    expect((await fetch(new URL('/', url))).status).toBe(404);
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { settings } from '../src/config/roles.js';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const names = (text: string, pattern: RegExp) => [
  ...new Set([...text.matchAll(pattern)].map(([, name]) => name)),
];
const known = settings.map(({ name }) => name);
const ownRedis = 'REDIS_PASSWORD';
/** Read by OpenTelemetry itself. */
const ofOpenTelemetry = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_RESOURCE_ATTRIBUTES'];

describe('docker-compose.yml', () => {
  const compose = read('docker-compose.yml');

  it('hands on every variable that there is, and no other', () => {
    const handedOn = names(compose, /\$\{([A-Z0-9_]+)/g);
    // Its own Redis, with a password for nothing else, is the one thing that is not left open.
    const ours = known.filter((name) => name !== 'REDIS_URL');
    expect(handedOn.sort()).toEqual([...ours, ...ofOpenTelemetry, ownRedis].sort());
  });

  it('hands each variable on under its own name', () => {
    for (const [, name, from] of compose.matchAll(/^ +([A-Z0-9_]+): \$\{([A-Z0-9_]+)/gm))
      expect(from).toBe(name);
  });

  it('gives Redis the settings that the guarantees rest on', () => {
    const command = compose.match(/command:\n((?: +- .*\n)+)/)?.[1]?.replace(/ +- "?([^"\n]*)"?\n/g, '$1 ');
    expect(command).toContain('--appendonly yes --appendfsync always ');
    expect(command).toContain('--maxmemory 1gb --maxmemory-policy noeviction --hz 100 ');
  });

  it('starts Redis with a password, refuses to start without one, and gives it to every process', () => {
    const { services, ...rest } = parse(compose, { merge: true });
    expect(services.redis.command.slice(-2)).toEqual(['--requirepass', `\${${ownRedis}}`]);
    expect(rest['x-settings'].REDIS_URL).toMatch(
      /^redis:\/\/:\$\{REDIS_PASSWORD:\?must be set .+\}@redis:6379\/0$/,
    );
    const urls = ['api', 'worker', 'api-simulated', 'worker-simulated'].map(
      (name) => services[name].environment.REDIS_URL,
    );
    for (const url of urls) expect(url).toMatch(/^redis:\/\/:\$\{REDIS_PASSWORD[:}].*@redis:6379\/[01]$/);
  });

  it('knows the health of every service: by its own check, or by the image with a metrics port of its own', () => {
    const { services } = parse(compose, { merge: true });
    const { prometheus: _, grafana: __, ...own } = services;
    for (const [name, { healthcheck, environment }] of Object.entries<typeof own.api>(own)) {
      expect([name, Boolean(healthcheck ?? environment.METRICS_PORT)]).toEqual([name, true]);
    }
    const ports = ['api-simulated', 'worker-simulated'].map((each) => own[each].environment.METRICS_PORT);
    expect(new Set(ports).size).toBe(2);
  });

  it('has the simulated API and its inbox on neighbouring ports, as npm start has them, and no port twice', () => {
    const { services } = parse(compose, { merge: true });
    const { simulator, grafana, prometheus } = services;
    const api = services['api-simulated'].environment;
    expect(simulator.ports).toEqual([`127.0.0.1:4000:${api.PORT}`, '127.0.0.1:4001:4001']);
    expect(simulator.environment.PORT).toBe('4001');
    for (const name of ['api-simulated', 'worker-simulated']) {
      expect(services[name].environment.ISMS_URL).toBe('http://127.0.0.1:4001/2FA/request.php');
    }
    expect([grafana.ports, prometheus.ports]).toEqual([['127.0.0.1:3002:3000'], ['127.0.0.1:9090:9090']]);
  });
});

describe('docs/env.example', () => {
  it('names only variables that there are', () => {
    expect(
      names(read('docs/env.example'), /^#?([A-Z0-9_]+)=/gm).filter(
        (name) => ![...known, ownRedis].includes(String(name)),
      ),
    ).toEqual([]);
  });
});

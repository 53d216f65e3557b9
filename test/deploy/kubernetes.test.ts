import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../../src/config/load-config.js';
import { settings } from '../../src/config/roles.js';
import { complete } from '../config/environment.js';

const known = settings.map(({ name }) => name);
const read = (path: string) => readFileSync(`deploy/${path}`, 'utf8');
const objectsIn = (text: string) =>
  parseAllDocuments(text, { merge: true }).flatMap((each) => each.toJS() ?? []);

const chart = 'deploy/helm/isms-otp-gateway';
const helm = (...args: string[]) => execFileSync('helm', args, { encoding: 'utf8', stdio: 'pipe' });
const account = ['--set', 'settings.ISMS_USERNAME=shop'];
const render = (...sets: string[]) =>
  helm('template', 'otp', chart, ...account, ...sets.flatMap((set) => ['--set-json', set]));

const groups: Record<string, string> = {
  v1: 'core/v1',
  'apps/v1': 'apps/v1',
  'autoscaling/v2': 'autoscaling/v2',
  'policy/v1': 'policy/v1',
  'networking.k8s.io/v1': 'networking/v1',
};

/** What the compiler says of objects beside Kubernetes's own types; nothing when all is well. */
async function complaints(objects: { apiVersion: string; kind: string }[]): Promise<string> {
  // Below the project, so that its packages are found.
  const directory = mkdtempSync(join(resolve('node_modules'), '.kubernetes-'));
  const source = objects.map((object, i) => {
    const path = groups[object.apiVersion];
    return `import type { ${object.kind} as Kind${i} } from 'kubernetes-types/${path}.js';\nconst o${i}: Kind${i} = ${JSON.stringify(object)}; void o${i};`;
  });
  writeFileSync(join(directory, 'objects.ts'), source.join('\n'));
  const options = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', '--types', ''];
  const args = [...options, '--module', 'nodenext', join(directory, 'objects.ts')];
  const { stdout } = await promisify(execFile)('node_modules/.bin/tsc', args).catch(
    (error) => error as { stdout: string },
  );
  rmSync(directory, { recursive: true });
  return stdout;
}

const { REDIS_URL, ENCRYPTION_KEYS, ISMS_PASSWORD, API_KEYS, ADMIN_USERNAME, ADMIN_PASSWORD } = complete;
/** As the texts below say to make them. */
const secrets: Record<string, Record<string, string>> = {
  'isms-otp': { REDIS_URL, ENCRYPTION_KEYS, ISMS_PASSWORD },
  'isms-otp-api': { API_KEYS, ADMIN_USERNAME, ADMIN_PASSWORD },
};

it.each(['kubernetes/gateway.yaml', 'helm/isms-otp-gateway/templates/NOTES.txt'])(
  '%s says how to make the Secrets',
  (path) => {
    const literals = [...read(path).matchAll(/--from-literal=(\w+)/g)].map(([, name]) => name);
    expect(literals).toEqual(Object.values(secrets).flatMap((secret) => Object.keys(secret)));
  },
);

describe.each([
  ['the Kubernetes example', () => read('kubernetes/gateway.yaml')],
  ['the Helm chart', () => render()],
  [
    'the Helm chart with everything on',
    () =>
      render(
        'api.autoscaling={"enabled":true}',
        'worker.autoscaling={"enabled":true}',
        'secrets.apps="isms-otp-apps"',
        'podSpec={"nodeSelector":{"disk":"ssd"},"imagePullSecrets":[{"name":"registry"}]}',
      ),
  ],
])('%s', (_, write) => {
  const text = write();
  const objects = objectsIn(text);
  const ofKind = (kind: string) => objects.filter((object) => object.kind === kind);
  const componentOf = (object: { metadata: { labels: Record<string, string> } }) =>
    object.metadata.labels['app.kubernetes.io/component'];
  const deployment = (component: string) =>
    ofKind('Deployment').find((object) => componentOf(object) === component);
  const [api, worker] = [deployment('api'), deployment('worker')];
  const selects = (labels: Record<string, string>, pod: typeof api) =>
    Object.entries(labels).every(([k, v]) => pod.spec.template.metadata.labels[k] === v);

  it('is shaped as Kubernetes has it, member by member', async () => {
    expect(await complaints(objects)).toBe('');
    const wrong = text.replace('terminationGracePeriodSeconds: 40', 'terminationGraceSeconds: 40');
    expect(await complaints(objectsIn(wrong))).toContain('terminationGraceSeconds');
  });

  it('lets only callers in, only to the API, and scrapers to the metrics of every pod', () => {
    const policies = ofKind('NetworkPolicy').map(({ spec }) => spec);
    const portsInto = (pod: typeof api) =>
      policies
        .filter(({ policyTypes, podSelector }) => {
          return policyTypes.includes('Ingress') && selects(podSelector.matchLabels, pod);
        })
        .flatMap(({ ingress }) => ingress.flatMap(({ ports }: { ports: { port: string }[] }) => ports))
        .map(({ port }) => port);
    expect(portsInto(api).sort()).toEqual(['http', 'metrics']);
    expect(portsInto(worker)).toEqual(['metrics']);
    for (const pod of [api, worker]) {
      const outward = policies.filter(({ policyTypes, podSelector }) => {
        return policyTypes.includes('Egress') && selects(podSelector.matchLabels, pod);
      });
      expect(outward).toHaveLength(1);
    }
  });

  it('selects its own pods, sets only what there is, and waits for what is under way', () => {
    const [config, ...more] = ofKind('ConfigMap');
    expect(more).toEqual([]);
    expect(Object.keys(config.data).filter((name) => !known.includes(name))).toEqual([]);
    expect(config.data).toMatchObject({ METRICS_HOST: '0.0.0.0', METRICS_PORT: '9464' });
    for (const each of [api, worker]) {
      const other = each === api ? worker : api;
      const { template, selector } = each.spec;
      expect([selects(selector.matchLabels, each), selects(selector.matchLabels, other)]).toEqual([
        true,
        false,
      ]);
      expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(35);
      expect(template.spec.containers[0].envFrom[0]).toEqual({
        configMapRef: { name: config.metadata.name },
      });
      const budgets = ofKind('PodDisruptionBudget').filter(({ spec }) =>
        selects(spec.selector.matchLabels, each),
      );
      expect(budgets).toHaveLength(1);
    }
    const [service] = ofKind('Service');
    expect([selects(service.spec.selector, api), selects(service.spec.selector, worker)]).toEqual([
      true,
      false,
    ]);
  });

  it('gives each process the settings that it needs, and no worker the secrets of callers', () => {
    const [{ metadata, data }] = ofKind('ConfigMap');
    const environmentOf = (pod: typeof api) => {
      const [{ envFrom, env = [] }] = pod.spec.template.spec.containers;
      const groups = envFrom.map((each: { configMapRef?: object; secretRef?: { name: string } }) =>
        each.secretRef ? secrets[each.secretRef.name] : data,
      );
      const single = env.map(({ name, value }: { name: string; value: string }) => [name, value]);
      return Object.assign({}, ...groups, Object.fromEntries(single));
    };
    expect(metadata.name).toBe(api.spec.template.spec.containers[0].envFrom[0].configMapRef.name);
    expect(loadConfig(environmentOf(api), 'api')).toMatchObject({ metrics: { port: 9464 } });
    expect(loadConfig(environmentOf(worker), 'worker')).toMatchObject({ metrics: { port: 9464 } });
    const ofCallers = Object.keys(secrets['isms-otp-api'] ?? {});
    expect(Object.keys(environmentOf(worker)).filter((name) => ofCallers.includes(name))).toEqual([]);
  });

  it('runs without root, privileges and a writable file system', () => {
    for (const { spec } of [api, worker].map(({ spec }) => spec.template)) {
      expect(spec).toMatchObject({
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      });
      expect(spec.containers[0].securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
  });
});

describe('the Helm chart', () => {
  it('has the version of the project, and no lint', () => {
    const { version, appVersion } = parse(readFileSync(`${chart}/Chart.yaml`, 'utf8'));
    expect(appVersion).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version);
    expect(version).toBe(appVersion);
    expect(helm('lint', '--strict', chart, ...account)).toContain('0 chart(s) failed');
  });

  it('says what is missing, unknown, or has its place in a Secret', () => {
    expect(() => helm('template', 'otp', chart)).toThrow(/ISMS_USERNAME/);
    expect(() => render('api.replica=3')).toThrow(/replica/);
    const secrets = settings.flatMap(({ name, secret }) => (secret ? [name] : []));
    const fixed = ['HOST', 'PORT', 'METRICS_HOST', 'METRICS_PORT'];
    const schema = JSON.parse(readFileSync(`${chart}/values.schema.json`, 'utf8'));
    const refused: string[] = schema.properties.settings.propertyNames.not.enum;
    expect([...refused].sort()).toEqual([...secrets, ...fixed].sort());
    expect(() => render('settings.API_KEYS="shop:key"')).toThrow(/API_KEYS|propertyNames|not/);
  });

  it('writes numbers and switches as a person would', () => {
    const numbers = render(
      'settings.BUDGET_CREDITS_PER_MONTH=40000000',
      'settings.OTEL_TRACES_SAMPLER_ARG=0.05',
    );
    const { data } = objectsIn(numbers).find(({ kind }) => kind === 'ConfigMap');
    expect(data).toMatchObject({
      BUDGET_CREDITS_PER_MONTH: '40000000',
      OTEL_TRACES_SAMPLER_ARG: '0.05',
      ISMS_USERNAME: 'shop',
    });
  });

  it('replaces pods when a setting changes', () => {
    const checksum = (text: string) =>
      objectsIn(text).find(({ kind }) => kind === 'Deployment').spec.template.metadata.annotations[
        'checksum/settings'
      ];
    expect(checksum(render())).toBe(checksum(render()));
    expect(checksum(render('settings.LOG_LEVEL="warn"'))).not.toBe(checksum(render()));
  });

  it('leaves the number of pods to the autoscaler where there is one', () => {
    const [fixed, scaled] = [render(), render('api.autoscaling.enabled=true')].map(objectsIn);
    const of = (objects: typeof fixed, kind: string, name: string) =>
      objects?.find((each) => each.kind === kind && each.metadata.name === name);
    expect(of(fixed, 'Deployment', 'otp-api').spec.replicas).toBe(2);
    expect(of(fixed, 'HorizontalPodAutoscaler', 'otp-api')).toBeUndefined();
    expect(of(scaled, 'Deployment', 'otp-api').spec.replicas).toBeUndefined();
    expect(of(scaled, 'HorizontalPodAutoscaler', 'otp-api').spec.scaleTargetRef.name).toBe('otp-api');
    expect(of(scaled, 'Deployment', 'otp-worker').spec.replicas).toBe(2);
  });

  it('scrapes every pod for the Prometheus Operator, under the names that the alerts have', () => {
    const objects = objectsIn(
      render('podMonitor.enabled=true', 'podMonitor.labels={"release":"prometheus"}'),
    );
    const monitor = objects.find(({ kind }) => kind === 'PodMonitor');
    const pods = objects.flatMap(({ kind, spec }) => (kind === 'Deployment' ? [spec.template] : []));
    expect(monitor.metadata.labels.release).toBe('prometheus');
    for (const { metadata, spec } of pods) {
      expect(metadata.labels).toMatchObject(monitor.spec.selector.matchLabels);
      expect(metadata.annotations).not.toHaveProperty(['prometheus.io/scrape']);
      expect(spec.containers[0].ports).toContainEqual({ name: 'metrics', containerPort: 9464 });
    }
    const components = pods.map(({ metadata }) => metadata.labels['app.kubernetes.io/component']);
    const jobs = components.map((component) => `isms-otp-${component}`);
    for (const job of jobs) expect(read('prometheus/alerts.yml')).toContain(`job="${job}"`);
    expect(monitor.spec.podMetricsEndpoints).toEqual([
      {
        port: 'metrics',
        interval: '15s',
        relabelings: [
          {
            sourceLabels: ['__meta_kubernetes_pod_label_app_kubernetes_io_component'],
            targetLabel: 'job',
            replacement: 'isms-otp-$1',
          },
        ],
      },
    ]);
  });
});

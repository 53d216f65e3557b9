import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { settings } from '../../src/config/roles.js';

const known = settings.flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));
const read = (path: string) => readFileSync(`deploy/${path}`, 'utf8');

describe('the Kubernetes example', () => {
  const text = read('kubernetes/gateway.yaml');
  const documents = (from = text) => parseAllDocuments(from, { merge: true }).map((each) => each.toJS());
  const groups: Record<string, string> = {
    v1: 'core/v1',
    'apps/v1': 'apps/v1',
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
    const args = [
      '--ignoreConfig',
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--types',
      '',
      join(directory, 'objects.ts'),
    ];
    const { stdout } = await promisify(execFile)('node_modules/.bin/tsc', args).catch(
      (error) => error as { stdout: string },
    );
    rmSync(directory, { recursive: true });
    return stdout;
  }

  it('is shaped as Kubernetes has it, member by member', async () => {
    expect(documents().map(({ kind }) => kind)).toEqual([
      ...['ConfigMap', 'Deployment', 'Deployment', 'Service', 'PodDisruptionBudget', 'PodDisruptionBudget'],
      ...['NetworkPolicy', 'NetworkPolicy', 'NetworkPolicy'],
    ]);
    expect(await complaints(documents())).toBe('');
    const wrong = text.replace('terminationGracePeriodSeconds: 40', 'terminationGraceSeconds: 40');
    expect(await complaints(documents(wrong))).toContain('terminationGraceSeconds');
  });

  it('lets only callers in, only to the API, and scrapers to the metrics of every pod', () => {
    const [, api, worker, , , , ...policies] = documents();
    const [all, ofApi, out] = policies;
    const reaches = (policy: typeof all, pod: typeof api) =>
      Object.entries(policy.spec.podSelector.matchLabels).every(
        ([k, v]) => pod.spec.template.metadata.labels[k] === v,
      );
    expect([all, ofApi, out].map((policy) => [reaches(policy, api), reaches(policy, worker)])).toEqual([
      [true, true],
      [true, false],
      [true, true],
    ]);
    const portsIn = (policy: typeof all) =>
      policy.spec.ingress.flatMap((rule: { ports: { port: string }[] }) =>
        rule.ports.map(({ port }) => port),
      );
    expect([portsIn(all), portsIn(ofApi)]).toEqual([['metrics'], ['http']]);
    expect(out.spec).toMatchObject({ policyTypes: ['Egress'] });
  });

  it('selects its own pods, sets only what there is, and waits for what is under way', () => {
    const [config, api, worker, service] = documents();
    expect(Object.keys(config.data).filter((name) => !known.includes(name))).toEqual([]);
    for (const each of [api, worker]) {
      expect(each.spec.selector.matchLabels).toEqual(each.spec.template.metadata.labels);
      expect(each.spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(35);
    }
    expect(service.spec.selector).toEqual(api.spec.template.metadata.labels);
    const secretsOf = (each: typeof api) => JSON.stringify(each.spec.template.spec.containers[0].envFrom);
    expect(secretsOf(api)).toContain('isms-otp-api');
    expect(secretsOf(worker)).not.toContain('isms-otp-api');
    const literals = [...text.matchAll(/--from-literal=(\w+)/g)].map(([, name]) => name ?? '');
    expect(literals.filter((name) => !known.includes(name))).toEqual([]);
  });
});

describe('the systemd units', () => {
  const units = readdirSync('deploy/systemd');

  it.each(units)('%s sets only what there is, and waits for what is under way', (unit) => {
    const text = read(`systemd/${unit}`);
    const names = [...text.matchAll(/(\w+)_FILE=%d\/(\w+)/g)].map(([, name, file]) => [name, file]);
    const loaded = [...text.matchAll(/^LoadCredential=(\w+):\/etc\/isms-otp\/secrets\/(\w+)$/gm)];
    expect(loaded.map(([, name, file]) => [name, file])).toEqual(names);
    const ofWorkers = ['REDIS_URL', 'ENCRYPTION_KEYS', 'ISMS_PASSWORD'];
    const ofApi = [...ofWorkers, 'API_KEYS', 'ADMIN_PASSWORD'];
    expect(names).toEqual((unit.includes('worker') ? ofWorkers : ofApi).map((name) => [name, name]));
    expect(Number(/TimeoutStopSec=(\d+)/.exec(text)?.[1])).toBeGreaterThanOrEqual(35);
  });

  const analyze = spawnSync('systemd-analyze', ['--version']).status === 0;
  it.runIf(analyze).each(units)('%s is one that systemd understands', (unit) => {
    const directory = mkdtempSync(join(tmpdir(), 'units-'));
    const check = (text: string) => {
      const file = join(directory, unit.replace('@.', '@1.'));
      writeFileSync(file, text.replace('/usr/bin/node', process.execPath));
      return spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' }).stderr;
    };
    expect(check(read(`systemd/${unit}`))).toBe('');
    expect(check(read(`systemd/${unit}`).replace('DynamicUser', 'DynamikUser'))).toContain('DynamikUser');
    rmSync(directory, { recursive: true });
  });
});

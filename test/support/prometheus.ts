import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from './otps.js';
import { freePort } from './redis-server.js';

/** A real Prometheus of its own. */
export interface Prometheus {
  /** An instant query of PromQL; throws with what Prometheus says about one that is wrong. */
  query(expression: string): Promise<{ metric: Record<string, string>; value: number }[]>;
  stop(): Promise<void>;
}

/** Scrapes these targets every half a second, by job. */
export async function startPrometheus(targets: Record<string, string>): Promise<Prometheus> {
  const [port, dir] = [await freePort(), await mkdtemp(join(tmpdir(), 'otp-prometheus-'))];
  const jobs = Object.entries(targets).map(([job_name, url]) => ({
    job_name,
    static_configs: [{ targets: [new URL(url).host] }],
  }));
  const config = { global: { scrape_interval: '500ms', scrape_timeout: '500ms' }, scrape_configs: jobs };
  // JSON is YAML.
  await writeFile(join(dir, 'prometheus.yml'), JSON.stringify(config));
  const child = spawn(
    'prometheus',
    [
      `--config.file=${dir}/prometheus.yml`,
      `--storage.tsdb.path=${dir}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  const exited = once(child, 'exit');
  const url = `http://127.0.0.1:${port}`;
  const ready = async () => (await fetch(`${url}/-/ready`).catch(() => null))?.ok === true;
  for (let tries = 0; !(await ready()); tries++) {
    if (tries > 200 || child.exitCode !== null) throw new Error('Prometheus does not start');
    await sleep(50);
  }
  return {
    query: async (expression) => {
      const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`);
      const answer = (await response.json()) as {
        error?: string;
        data?: { result: { metric: Record<string, string>; value: [number, string] }[] };
      };
      if (!answer.data) throw new Error(answer.error);
      return answer.data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    stop: async () => {
      child.kill();
      await exited;
      await rm(dir, { recursive: true, force: true });
    },
  };
}

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, totalmem } from 'node:os';

/** What the figures were measured on. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGb: number;
  node: string;
  redis: string;
  bullmq: string;
}

export function machine(): Machine {
  const [first] = cpus();
  const redis = spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout;
  return {
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1_024 ** 3),
    node: process.versions.node,
    redis: /v=(\S+)/.exec(redis)?.[1] ?? 'unknown',
    bullmq: bullmqVersion(),
  };
}

function bullmqVersion(): string {
  const file = createRequire(import.meta.url).resolve('bullmq/package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

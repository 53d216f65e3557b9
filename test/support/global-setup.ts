import type { TestProject } from 'vitest/node';
import { onCluster, startRedis } from './redis-topology.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A Redis URL for each test file that can run at a time, by its pool id. */
    databases: string[];
  }
}

/** One Redis for the whole run, of which each pool has a logical database; or a cluster, which has only one, for each. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const pools = Array.from({ length: Number(project.config.maxWorkers) }, (_, i) => i + 1);
  const started = await Promise.all((onCluster ? pools : [1]).map(() => startRedis()));
  project.provide(
    'databases',
    pools.map((pool) => (onCluster ? started[pool - 1]?.url : `${started[0]?.url}/${pool}`) ?? ''),
  );
  return async () => {
    await Promise.all(started.map((redis) => redis.stop()));
  };
}

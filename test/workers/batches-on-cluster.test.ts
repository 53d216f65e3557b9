import { once } from 'node:events';
import { afterAll, expect, it } from 'vitest';
import { connectForWork } from '../../src/main/redis.js';
import { batchId } from '../../src/otp/otp-id.js';
import { queuePrefix } from '../../src/queues/queues.js';
import { keys } from '../../src/store/keys.js';
import { masterOf } from '../../src/store/script.js';
import { createBatchProcessor } from '../../src/workers/batches.js';
import { number, request } from '../support/otps.js';
import { startRedis } from '../support/redis-topology.js';
import { createScene, uploadBatch } from '../support/workers.js';

const cluster = await startRedis({ cluster: true });
const redis = connectForWork(cluster.url);
await once(redis, 'ready');
redis.on('error', () => {});
const scene = await createScene(redis as never);
afterAll(async () => {
  await scene.close();
  redis.disconnect();
  await cluster.stop();
});

let nth = 0;
/** A batch of an app of its own. */
const upload = () => {
  const app = `app-${nth}`;
  const to = () => number(`+6012${String(nth++).padStart(7, '0')}`);
  const requests = Array.from({ length: 60 }, () => request({ app, to: to(), sendDeadlineSeconds: 3_600 }));
  return uploadBatch(scene, requests, app).then((batch) => ({ batch, app }));
};
/** The client forgets a master whose connection ended until a command needs it. */
const portOf = async (key: string) => {
  await redis.exists(key);
  return masterOf(redis, key).options.port;
};

it('a turn that needs a master that does not answer ends, so that other batches have theirs', async () => {
  const needed = await Promise.all([queuePrefix, keys.activeBatches, keys.done].map(portOf));
  const away = cluster.servers.find(({ port }) => !needed.includes(port));
  if (!away) return expect.unreachable('the slots of all batches are on two of the three masters');
  const isAway = async (key: string) => (await portOf(key)) === away.port;
  let one = await upload();
  while (!(await isAway(keys.batch(one.batch)))) one = await upload();
  let other = await upload();
  while ((await isAway(keys.batch(other.batch))) || (await isAway(keys.appBatchQueue(other.app)))) {
    other = await upload();
  }
  const errors: unknown[] = [];
  const release = createBatchProcessor({
    ...{ redis, store: scene.store, sendOtpQueue: scene.queue, batchQueue: scene.batchQueue },
    ...{ logger: scene.logger, fraudGuardEnforces: false, onError: (error) => errors.push(error) },
  });
  const turn = async ({ batch }: { batch: string }) => {
    const job = await scene.batchQueue.queue.getJob(batchId(batch));
    return job && (await release(job));
  };
  const inFlight = async ({ batch }: { batch: string }) =>
    (await scene.store.waitingLines.count(batch)).inFlight;
  const patient = { timeout: 20_000 };
  process.kill(away.pid, 'SIGSTOP');
  try {
    expect(await turn(one)).toEqual({ wait: 5_000 });
    expect(errors).toMatchObject([{ name: 'TimedOut' }]);
    await expect.poll(async () => (await turn(other)) && inFlight(other), patient).toBeGreaterThan(0);
  } finally {
    process.kill(away.pid, 'SIGCONT');
  }
  await expect.poll(async () => (await turn(one)) && inFlight(one), patient).toBeGreaterThan(0);
});

import { randomBytes } from 'node:crypto';
import { type BulkJobOptions, Queue } from 'bullmq';
import { type Side, takePairs } from './pairs.js';
import { createSendMany } from './producer.js';
import type { Row } from './row.js';
import { nowMs } from './support/clock.js';
import { createCounterpart } from './support/counterpart.js';
import { createGateway, message } from './support/gateway.js';
import { nthNational, nthNumber } from './support/numbers.js';
import type { Stand } from './support/stand.js';
import { createUploader, perUpload, uploads } from './support/upload.js';

interface PlainJob {
  name: string;
  data: { id: string; app: string; to: string };
  opts: BulkJobOptions;
}

/** As small as the jobs that workers make of the gateway's OTPs: an id and a masked number. */
function smallJobs(count: number): PlainJob[] {
  return Array.from({ length: count }, (_, n) => {
    const id = `otp_${randomBytes(18).toString('base64url')}`;
    return { name: 'send-otp', data: { id, app: 'shop', to: nthNumber(n).masked }, opts: { jobId: id } };
  });
}

/** How many a second there are when `work` takes on all of them. */
async function perSecond(count: number, work: () => Promise<unknown>): Promise<number> {
  const began = nowMs();
  await work();
  return (count / (nowMs() - began)) * 1_000;
}

/** `addBulk` of so many at a time, with so many calls in flight. */
function addBulk(stand: Stand, { each, inFlight }: { each: number; inFlight: number }): Side {
  const queue = new Queue<PlainJob['data']>('bare', { connection: stand.client });
  stand.add(queue, (open) => open.close());
  return async (count) => {
    await stand.empty();
    const jobs = smallJobs(count);
    const batches = Array.from({ length: Math.ceil(count / each) }, (_, i) =>
      jobs.slice(i * each, (i + 1) * each),
    ).values();
    const lane = async () => {
      for (const batch of batches) await queue.addBulk(batch);
    };
    return await perSecond(count, () => Promise.all(Array.from({ length: inFlight }, lane)));
  };
}

export const bulkRows: Row[] = [
  {
    name: 'bulk-http',
    what: 'OTPs/s accepted by POST /v1/otps/bulk, all checks on, 10,000 an upload; workers add the jobs later',
    bare: 'one queue.addBulk of small jobs, no HTTP, no record',
    run: async (stand) => {
      const ourApi = await createGateway(stand).startApi();
      const usualApi = await createCounterpart(stand, 'usual').startApi();
      const side = (url: string): Side => {
        const { upload } = createUploader(stand, url);
        return async (count) => {
          await stand.empty();
          const all = uploads(count);
          return await perSecond(count, async () => {
            for (const each of all) await upload(each);
          });
        };
      };
      const pairs = await takePairs(stand.extent(20_000, 300), {
        ours: side(ourApi.url),
        bare: addBulk(stand, { each: perUpload, inFlight: 1 }),
        usual: side(usualApi.url),
        pids: { ours: ourApi.pid, usual: usualApi.pid },
      });
      const goals = { goal: { atLeast: 0.85 }, usualGoal: { atLeast: 1.2 } };
      return [{ name: 'bulk-http', unit: 'OTPs/s', judged: 'ratio', ...goals, pairs }];
    },
  },
  {
    name: 'bulk-producer',
    what: 'OTPs/s by the producer library, in process; workers add the jobs later',
    bare: 'addBulk(200) of small jobs, four in flight',
    run: async (stand) => {
      const sendMany = createSendMany(stand);
      const ours: Side = async (count) => {
        await stand.empty();
        const otps = Array.from({ length: count }, (_, n) => ({ to: `+60${nthNational(n)}`, message }));
        return await perSecond(count, () => sendMany(otps));
      };
      const bare = addBulk(stand, { each: 200, inFlight: 4 });
      const pairs = await takePairs(stand.extent(20_000, 300), { ours, bare });
      return [{ name: 'bulk-producer', unit: 'OTPs/s', judged: 'ratio', goal: { atLeast: 0.6 }, pairs }];
    },
  },
];

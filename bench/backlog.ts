import { type Figure, type Side, takePairs } from './pairs.js';
import type { Row } from './row.js';
import { nowMs } from './support/clock.js';
import { createGateway } from './support/gateway.js';
import { streamUp } from './support/ndjson.js';
import { peakMemory } from './support/process-memory.js';
import { keepUp } from './support/progress.js';
import { rewritten, type Stand } from './support/stand.js';
import { createUploader, uploads } from './support/upload.js';

interface Measured {
  /** Accepts uploads, each to new numbers; answers OTPs a second. */
  side: Side;
  /** Of the API's process, in MB, until all of `waiting` were there. */
  peakMb: number;
}

/** An API with a Redis of its own and `waiting` OTPs in it, which came in one NDJSON upload. */
async function apiWithBacklog(stand: Stand, waiting: number): Promise<Measured> {
  const gateway = createGateway(stand);
  const { url, pid } = await gateway.startApi();
  const { upload } = createUploader(stand, url);
  keepUp(stand, gateway.store);
  if (waiting > 0) await streamUp(url, waiting);
  let from = waiting;
  const side: Side = async (count) => {
    if (waiting === 0) await stand.empty();
    await rewritten(stand.client);
    const all = uploads(count, from);
    from += count;
    const began = nowMs();
    for (const each of all) await upload(each);
    return (count / (nowMs() - began)) * 1_000;
  };
  return { side, peakMb: await peakMemory(pid) };
}

/** The million is uploaded once for both. */
export const backlogRow: Row = {
  name: 'bulk-with-backlog',
  also: ['ndjson-memory'],
  what: "OTPs/s accepted with 1,000,000 waiting, and the API's most memory while these came by NDJSON",
  bare: 'the same with none waiting',
  run: async (stand) => {
    const ours = await apiWithBacklog(stand, stand.size(1_000_000, 1_000));
    const bare = await apiWithBacklog(await stand.secondStand(), 0);
    const sides = { ours: ours.side, bare: bare.side };
    const pairs = await takePairs(stand.extent(20_000, 300), sides);
    const memory: Pick<Figure, 'unit' | 'judged' | 'goal'> = {
      unit: 'MB',
      judged: 'ours',
      goal: { atMost: 200 },
    };
    return [
      { name: 'bulk-with-backlog', unit: 'OTPs/s', judged: 'ratio', goal: { atLeast: 0.9 }, pairs },
      { name: 'ndjson-memory', ...memory, pairs: [{ ours: ours.peakMb, bare: null }] },
    ];
  },
};

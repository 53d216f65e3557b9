import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { batchId, batchOfId } from '../../otp/otp-id.js';
import type { Batch } from '../../store/batches.js';
import type { ActiveBatch, WaitReason } from '../../store/waiting-lines.js';
import type { ApiDependencies } from '../dependencies.js';
import { readJson } from '../http/body.js';
import { contextOf } from '../http/context.js';
import { ApiProblem } from '../http/problem.js';
import { parseInput } from '../http/request.js';

type Store = Pick<ApiDependencies['store'], 'batches' | 'waitingLines'>;

/** Batches shown: the counts of each are read from every partition. */
const mostBatches = 20;

/** The batches with waiting lines in the order of their release, and how many are not shown. */
export async function waitingBatches(store: Store) {
  const [{ apps }, active] = await Promise.all([store.waitingLines.batches(), store.waitingLines.active()]);
  const noted = new Map(active.map((note) => [note.batch, note]));
  const all = new Map([...active.map(({ batch, app }) => [batch, app] as const), ...apps]);
  const order = (batch: string) => noted.get(batch)?.order ?? Number.MAX_SAFE_INTEGER;
  const inOrder = [...all].sort(([a], [b]) => order(a) - order(b));
  const shown = inOrder
    .slice(0, mostBatches)
    .map(([batch, app]) => batchView(store, { app, batch, note: noted.get(batch) }));
  return {
    shown: (await Promise.all(shown)).filter((batch) => batch !== null),
    more: Math.max(0, inOrder.length - mostBatches),
  };
}

/** A batch of any app by its id; null: there is none. */
export async function findBatch(store: Store, id: string) {
  const batch = batchOfId(id);
  const facts = batch === null ? null : await store.batches.facts(batch);
  if (batch === null || facts === null) return null;
  const active = await store.waitingLines.active();
  return await batchView(store, { app: facts.app, batch, note: active.find((one) => one.batch === batch) });
}

async function batchView(
  store: Store,
  { app, batch, note }: { app: string; batch: string; note: ActiveBatch | undefined },
) {
  const found = await store.batches.find(app, batchId(batch));
  if (!found) return null;
  const { id, name, createdAt, startAt, perSecond, counts } = found;
  const progress = progressOf(found, note?.waitsFor ?? null, Date.now());
  return { id, app, name, createdAt, startAt, perSecond, counts, ...progress };
}

/** `noted`: what its lines waited for when they were looked at last. */
function progressOf(batch: Batch, noted: WaitReason | null, now: number) {
  const { counts, startedAt, perSecond } = batch;
  const unsent = counts.queued + counts.sending;
  const done = Object.values(counts).reduce((a, b) => a + b, 0) - unsent;
  const status = statusOf(batch, unsent, now);
  const rate = startedAt === null ? null : (done * 1_000) / Math.max(1_000, now - startedAt);
  const waitsFor = status === 'sending' && noted !== 'paused' && noted !== 'start' ? noted : null;
  const isReleased = status === 'sending' && (waitsFor === null || waitsFor === 'pace');
  const estimatedEnd =
    isReleased && unsent > 0 && rate ? now + (unsent * 1_000) / Math.min(rate, perSecond ?? rate) : null;
  return { status, rate, estimatedEnd, waitsFor };
}

function statusOf({ cancelledAt, finishedAt, paused, startAt }: Batch, unsent: number, now: number) {
  if (cancelledAt !== null) return 'cancelled';
  if (finishedAt !== null && unsent === 0) return 'finished';
  if (paused) return 'paused';
  return startAt !== null && startAt > now ? 'scheduled' : 'sending';
}

const cancelSchema = z.strictObject({ id: z.string().max(64) });
const changeSchema = cancelSchema.extend({
  paused: z.boolean().exactOptional(),
  perSecond: z.int().min(1).max(10_000).nullable().exactOptional(),
});

/** Pauses, resumes, paces and cancels batches of any app. */
export function batchActions(actions: boolean, { store, batchQueue }: ApiDependencies): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const begin = async <Body extends { id: string }>(
    req: Request,
    res: Response,
    { operation, schema }: { operation: string; schema: z.ZodType<Body> },
  ) => {
    const context = contextOf(res);
    context.operation = operation;
    if (!actions) throw new ApiProblem('action_not_offered');
    const { id, ...change } = parseInput(schema, await readJson(req));
    const batch = await findBatch(store, id);
    if (!batch) throw new ApiProblem('batch_not_found');
    context.batchId = batch.id;
    return { batch, change, key: batchOfId(id) ?? '' };
  };
  router.post('/batches/change', async (req, res) => {
    const by = { operation: 'changeBatch', schema: changeSchema };
    const { batch, change, key } = await begin(req, res, by);
    if (batch.status === 'cancelled' || batch.status === 'finished') throw new ApiProblem('batch_not_found');
    await store.batches.change(key, change);
    await batchQueue.wake(key);
    res.status(204).end();
  });
  router.post('/batches/cancel', async (req, res) => {
    const { batch, key } = await begin(req, res, { operation: 'cancelBatch', schema: cancelSchema });
    await store.batches.cancel(batch.app, batch.id);
    await batchQueue.wake(key);
    res.status(204).end();
  });
  return router;
}

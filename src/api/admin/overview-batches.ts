import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { batchId, batchOfId } from '../../otp/otp-id.js';
import { batchMembers } from '../../producer/upload.js';
import type { Batch } from '../../store/batches.js';
import type { ApiDependencies } from '../dependencies.js';
import { readJson } from '../http/body.js';
import { contextOf } from '../http/context.js';
import { ApiProblem } from '../http/problem.js';
import { parseInput } from '../http/request.js';
import { notChanged } from '../routes/batches.js';

type Store = Pick<ApiDependencies['store'], 'batches' | 'waitingLines'>;

/** Batches shown: the counts of each are read from every partition. */
const mostBatches = 20;

/** The batches that have not ended in the order of their release, and how many are not shown. */
export async function unendedBatches(store: Store) {
  const [{ apps }, active] = await Promise.all([store.waitingLines.batches(), store.waitingLines.active()]);
  const orders = new Map(active.map(({ batch, order }) => [batch, order]));
  const order = (batch: string) => orders.get(batch) ?? Number.MAX_SAFE_INTEGER;
  const all = new Map([...active.map(({ batch, app }) => [batch, app] as const), ...apps]);
  const inOrder = [...all].sort(([a], [b]) => order(a) - order(b));
  const shown = await Promise.all(
    inOrder.slice(0, mostBatches).map(([batch, app]) => store.batches.find(app, batchId(batch))),
  );
  return {
    shown: shown.filter((batch) => batch !== null).map(batchView),
    more: Math.max(0, inOrder.length - mostBatches),
  };
}

/** A batch of any app by its id; null: there is none. */
export async function findBatch({ batches }: Pick<Store, 'batches'>, id: string) {
  const batch = batchOfId(id);
  const facts = batch === null ? null : await batches.facts(batch);
  const found = facts && (await batches.find(facts.app, id));
  return found && batchView(found);
}

function batchView(batch: Batch) {
  const { id, app, name, createdAt, startAt, perSecond, counts, status, rate, estimatedEnd, waitsFor } =
    batch;
  return { id, app, name, createdAt, startAt, perSecond, counts, status, rate, estimatedEnd, waitsFor };
}

const cancelSchema = z.strictObject({ id: z.string().max(64) });
const changeSchema = cancelSchema.extend({
  paused: z.boolean().optional(),
  perSecond: batchMembers.perSecond.unwrap().nullable().optional(),
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
    return { batch, change };
  };
  const end = async (res: Response, id: string) => {
    await batchQueue.wake(batchOfId(id) ?? '');
    res.status(204).end();
  };
  router.post('/batches/change', async (req, res) => {
    const by = { operation: 'changeBatch', schema: changeSchema };
    const { batch, change } = await begin(req, res, by);
    const result = await store.batches.update(batch.app, batch.id, change);
    if (result !== 'changed') throw notChanged(result);
    await end(res, batch.id);
  });
  router.post('/batches/cancel', async (req, res) => {
    const { batch } = await begin(req, res, { operation: 'cancelBatch', schema: cancelSchema });
    await store.batches.cancel(batch.app, batch.id);
    await end(res, batch.id);
  });
  return router;
}

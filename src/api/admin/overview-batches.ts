import { batchId, batchOfId } from '../../otp/otp-id.js';
import type { Batch } from '../../store/batches.js';
import type { ApiDependencies } from '../dependencies.js';

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

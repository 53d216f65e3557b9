import { setTimeout as sleep } from 'node:timers/promises';
import type { AdmissionRequest } from '../store/admission.js';
import { batchId, type Line, linesPerChunk, type ReservedLine } from '../store/batches.js';
import type { Store } from '../store/store.js';
import type { Acceptance, Enqueuer } from './enqueue.js';
import type { Read } from './otp-request.js';
import { redisTrouble } from './redis-trouble.js';
import { type Refusal, refuse } from './refusal.js';

/** Groups under way at the same time: with four of 200 lines each, Redis and this process both work (measured). */
export const groupsInFlight = 4;

/** So many more lines of an upload than were accepted may be kept though they were refused: 32 bytes of Redis each. */
const mostKeptInVain = 10_000;

/** One line that came: what it asks for, or why that cannot be read; null: an empty one. */
export type UploadLine = Read | null;

/** Lines of an upload, all in one chunk of its batch. */
export interface Group {
  /** Counts from 0. */
  from: number;
  lines: readonly UploadLine[];
}

/** What became of one line. */
export type LineResult =
  /** `replayed`: it was accepted before. */
  { index: number; id: string; replayed: boolean } | { index: number; refusal: Refusal };

/** What uploads need. */
export interface UploadDependencies {
  store: Pick<Store, 'batches'>;
  enqueuer: Pick<Enqueuer, 'enqueueMany' | 'refusesBulk'>;
}

/** An upload of many OTPs of one app, as one batch. */
export interface Upload {
  batchId: string;
  /** What became of each line that was not empty. Sent again under the same key, a line counts once. */
  accept(group: Group, signal?: AbortSignal): Promise<LineResult[]>;
}

/** Begins an upload, or goes on with the one that this idempotency key stands for; null when that was cancelled. */
export async function beginUpload(
  { store, enqueuer }: UploadDependencies,
  app: string,
  idempotencyKey: string | null,
): Promise<Upload | null> {
  const name = await store.batches.open(app, idempotencyKey);
  if (name === null) return null;
  const lineIds = (idempotencyKey === null ? createNewIds : createReservedIds)(store.batches, { name, app });
  return {
    batchId: batchId(name),
    accept: async (group, signal) => {
      const idOf = await lineIds.before(group, enqueuer.refusesBulk());
      const results = group.lines.map((line, i) => placed(line, idOf(i), name));
      const admissible = results.flatMap((result) => ('admission' in result ? [result.admission] : []));
      const acceptances = await acceptInTime({ enqueuer, signal }, app, admissible);
      const answers = results.flatMap((result, i) => toResult(result, group.from + i, acceptances));
      return admissible.length === 0 ? answers : await lineIds.after(group, answers, idOf);
    },
  };
}

/** Of the line at this place of a group: its id, why it has none, or null where the batch was cancelled. */
type IdOf = (place: number) => ReservedLine | Refusal | null;

/** How the lines of a batch get their ids, and what is kept of them. */
interface LineIds {
  /** Called before the lines are admitted. `full`: why nothing new is taken. */
  before(group: Group, full: Refusal | null): Promise<IdOf>;
  /** Called with what became of those that could be read; answers what is said about them. */
  after(group: Group, results: LineResult[], idOf: IdOf): Promise<LineResult[]>;
}

type LineBatches = UploadDependencies['store']['batches'];

/**
 * With an idempotency key: ids are reserved first, so that a line counts once however often it comes. A refused line's is
 * kept as well, and so are the gaps before it, up to a limit.
 */
function createReservedIds(batches: LineBatches, batch: { name: string; app: string }): LineIds {
  let accepted = 0;
  let keptInVain = 0;
  const reserve = async ({ from, lines }: Group, onlyKnown: boolean) => {
    try {
      return await batches.reserve({ ...batch, onlyKnown }, from, lines.map(readableLine));
    } catch (error) {
      const reason = redisTrouble(error);
      if (reason === null) throw error;
      return refuse('queue_unavailable', { reason });
    }
  };
  return {
    before: async (group, full) => {
      // Nothing is kept for what is refused; what was accepted before is still answered.
      const refusal = full ?? (keptInVain > mostKeptInVain + accepted ? refuse('too_many_refused') : null);
      const reserved = await reserve(group, refusal !== null);
      return Array.isArray(reserved) ? (place) => reserved[place] ?? refusal : () => reserved;
    },
    after: async ({ lines }, results) => {
      const ids = results.filter((result) => 'id' in result).length;
      accepted += ids;
      keptInVain += lines.length - ids;
      return results;
    },
  };
}

/** Without a key: nothing can come again, so ids are written down once their lines were accepted, and no others. */
function createNewIds(batches: LineBatches, batch: { name: string; app: string }): LineIds {
  let cancelled = false;
  return {
    before: async ({ lines }, full) => {
      if (full || cancelled) return () => full;
      const ids = batches.newIds(lines.map(readableLine));
      return (place) => ids[place] ?? null;
    },
    after: async ({ from, lines }, results, idOf) => {
      const mayBeAccepted = new Set(results.filter(mayHaveBeenAccepted).map(({ index }) => index));
      if (mayBeAccepted.size === 0) return results;
      const listed = lines.map((line, i) => {
        const id = idOf(i);
        if (!mayBeAccepted.has(from + i) || !line || !('request' in line)) return null;
        return id && typeof id === 'object' && 'id' in id ? { request: line.request, id: id.id } : null;
      });
      // What was accepted is sent, listed or not.
      cancelled ||= !(await batches.list(batch, from, listed).catch(toleratedTrouble));
      if (!cancelled) return results;
      return results.map((result) =>
        'id' in result ? { index: result.index, refusal: refuse('batch_cancelled') } : result,
      );
    },
  };
}

/** Where Redis did not answer, an OTP may have been accepted all the same. */
function mayHaveBeenAccepted(result: LineResult): boolean {
  return 'id' in result || ['queue_unavailable', 'internal_error'].includes(result.refusal.code);
}

function toleratedTrouble(error: unknown): true {
  if (redisTrouble(error) === null) throw error;
  return true;
}

/** Where a line stands before admission. */
type Placed = { admission: AdmissionRequest } | { refusal: Refusal } | { empty: true };

/** `place`: of its id, why it has none, or null where the batch was cancelled. */
function placed(line: UploadLine, place: ReservedLine | Refusal | null, batch: string): Placed {
  if (!line) return { empty: true };
  if ('refusal' in line) return line;
  if (place === null) return { refusal: refuse('batch_cancelled') };
  if (place === 'reused') return { refusal: refuse('idempotency_key_reused') };
  if ('code' in place) return { refusal: place };
  return { admission: { request: line.request, reserved: { batch, ...place } } };
}

function readableLine(line: UploadLine): Line | null {
  return line && 'request' in line ? line : null;
}

/** Bulk is slowed to what the app may, instead of refused. */
async function acceptInTime(
  { enqueuer, signal }: { enqueuer: Pick<Enqueuer, 'enqueueMany'>; signal: AbortSignal | undefined },
  app: string,
  admissions: readonly AdmissionRequest[],
): Promise<Map<AdmissionRequest, Acceptance>> {
  const decided = new Map<AdmissionRequest, Acceptance>();
  let open = admissions;
  while (open.length > 0) {
    const acceptances = await enqueuer.enqueueMany(app, open);
    for (const [i, admission] of open.entries()) {
      const acceptance = acceptances[i];
      if (acceptance) decided.set(admission, acceptance);
    }
    const waits = open.flatMap((admission) => appWait(decided.get(admission)));
    open = open.filter((admission) => appWait(decided.get(admission)).length > 0);
    if (open.length === 0 || signal?.aborted) break;
    await sleep(Math.max(...waits), undefined, { signal }).catch(() => {});
  }
  return decided;
}

function appWait(acceptance: Acceptance | undefined): number[] {
  const limited = acceptance?.kind === 'refused' && acceptance.refusal.code === 'app_rate_limited';
  return limited ? [acceptance.refusal.retryAfterMs ?? 1_000] : [];
}

function toResult(
  result: Placed,
  index: number,
  acceptances: Map<AdmissionRequest, Acceptance>,
): LineResult[] {
  if ('empty' in result) return [];
  if ('refusal' in result) return [{ index, refusal: result.refusal }];
  const acceptance = acceptances.get(result.admission);
  if (!acceptance) return [{ index, refusal: refuse('queue_unavailable') }];
  if (acceptance.kind === 'refused') return [{ index, refusal: acceptance.refusal }];
  return [{ index, id: acceptance.otp.id, replayed: acceptance.kind === 'replayed' }];
}

/** Puts lines into groups, none of which reaches over the end of a chunk; what is left over waits for more lines. */
export function createGrouping() {
  let from = 0;
  let lines: UploadLine[] = [];
  const cut = (): Group[] => {
    if (lines.length === 0) return [];
    const group = { from, lines };
    from += lines.length;
    lines = [];
    return [group];
  };
  return {
    add: (line: UploadLine): Group[] => {
      lines.push(line);
      return (from + lines.length) % linesPerChunk === 0 ? cut() : [];
    },
    /** What has been added since the last group. */
    rest: cut,
  };
}

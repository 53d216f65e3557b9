import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { mapOrdered } from '../lib/map-ordered.js';
import { batchId } from '../otp/otp-id.js';
import { type Refusal, refuse } from '../otp/refusal.js';
import type { Admission, AdmissionRequest } from '../store/admission.js';
import { type BatchOptions, type Line, linesPerChunk, type ReservedLine } from '../store/batches.js';
import { longestStartMs } from '../store/script.js';
import type { Store } from '../store/store.js';
import type { EnqueuedBatch, Enqueuer } from './enqueue.js';
import { dateTimeSchema, type Read, visibleTextSchema } from './otp-request.js';
import { redisTrouble, refuseUnavailable } from './redis-trouble.js';

/** Names are shown in Bull Board and events, where no whole phone number may be. */
const phoneNumber = /\+\d[\d ().-]{5,}\d|\d{9,}/;

/** When a batch starts, as an app writes it. */
export const startSchema = dateTimeSchema.refine(
  (time) => !(Date.parse(time) > Date.now() + longestStartMs),
  'must be at most 7 days ahead',
);

/** Options of a batch as an app writes them. */
export const batchMembers = {
  name: visibleTextSchema(100)
    .refine((name) => !phoneNumber.test(name), 'must not hold a phone number, nor nine digits in a row')
    .optional()
    .describe('Name of the batch, for people: at most 100 characters.'),
  startAt: startSchema
    .optional()
    .describe('When the batch starts, at most 7 days ahead. Default, and in the past: at once.'),
  perSecond: z
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .describe('OTPs sent in a second at most. Default: as many as can be sent.'),
};

/** Options of a batch from what its app wrote; a start that has passed is none. */
export function toBatchOptions(given: z.output<z.ZodObject<typeof batchMembers>>): BatchOptions {
  const startAt = Date.parse(given.startAt ?? '');
  return {
    name: given.name ?? null,
    startAt: startAt > Date.now() ? startAt : null,
    perSecond: given.perSecond ?? null,
  };
}

/** Groups processed at the same time: with four of 200 lines, Redis and this process both work (measured). */
const groupsInFlight = 4;

/** Ids reserved for refused lines, beyond the accepted ones: each takes 32 bytes of Redis. */
const mostRefusedIds = 10_000;

/** A line: what it asks for, or why it cannot be read; null: empty. */
export type UploadLine = Read | null;

/** Lines of an upload, all in one chunk of its batch. */
export interface Group {
  /** Counts from 0. */
  from: number;
  lines: readonly UploadLine[];
}

/** The result of one line; `index` counts from 0. */
export type LineResult =
  | { kind: 'created' | 'replayed'; index: number; id: string }
  | { kind: 'refused'; index: number; refusal: Refusal };

/** The lines of an upload accepted and rejected so far. */
export interface UploadSummary {
  batchId: string;
  accepted: number;
  rejected: number;
}

/** An upload of OTPs of one app, as one batch. */
export interface Upload {
  readonly summary: Readonly<UploadSummary>;
  /**
   * Yields the results of each group's lines, empty ones left out, in the order of the groups. A line that is repeated
   * under the same key counts once. `signal` ends the wait for the app's limit.
   */
  accept(groups: AsyncIterable<Group>, signal?: AbortSignal): AsyncGenerator<LineResult[]>;
}

export interface UploadOptions {
  store: Pick<Store, 'batches'>;
  enqueuer: Pick<Enqueuer, 'enqueueMany' | 'refusesBulk' | 'takesBatch'>;
  /** Called with the results of a group once it is processed, even if the caller stops reading. */
  onResults?: (results: readonly LineResult[], group: Group) => void;
}

/** Why an upload cannot begin: its key's batch was cancelled, or its app has too many with unsent OTPs. */
export type UploadRefusal = 'batch_cancelled' | 'too_many_batches';

/** Starts an upload, or continues the one of this idempotency key. */
export async function beginUpload(
  { store, enqueuer, onResults }: UploadOptions,
  app: string,
  { idempotencyKey, ...options }: { idempotencyKey: string | null } & BatchOptions,
): Promise<Upload | UploadRefusal> {
  if (!(await enqueuer.takesBatch(app))) {
    const isNew = idempotencyKey === null || !(await store.batches.hasOtps(app, idempotencyKey));
    if (isNew) return 'too_many_batches';
  }
  const batch = await store.batches.open(app, idempotencyKey, options);
  if (batch === null) return 'batch_cancelled';
  const lineIds = (idempotencyKey === null ? createNewIds : createReservedIds)(store.batches, {
    batch,
    app,
  });
  // An upload that is repeated keeps the options of the first time.
  const { name, startAt } =
    idempotencyKey === null ? options : ((await store.batches.facts(batch)) ?? options);
  const enqueued = { batch, app, name, startAt };
  const summary = { batchId: batchId(batch), accepted: 0, rejected: 0 };
  const acceptGroup = async (group: Group, signal: AbortSignal | undefined) => {
    const idAt = await lineIds.reserve(group, enqueuer.refusesBulk());
    const requests = group.lines.map((line, i) =>
      toAdmissionRequest(line, idAt(i), { batch, line: group.from + i, startAt }),
    );
    const admissible = requests.flatMap((line) => (line && 'request' in line ? [line] : []));
    const admissions = await admitWithinAppLimit({ enqueuer, signal }, enqueued, admissible);
    const answers = requests.flatMap((line, i) => toResult(line, group.from + i, admissions));
    const results = admissible.length === 0 ? answers : await lineIds.recordAccepted(group, answers, idAt);
    onResults?.(results, group);
    return results;
  };
  return {
    summary,
    accept: async function* (groups, signal) {
      const accepted = mapOrdered(groups, groupsInFlight, (group) => acceptGroup(group, signal));
      try {
        for await (const results of accepted) {
          const refused = results.filter(({ kind }) => kind === 'refused').length;
          summary.accepted += results.length - refused;
          summary.rejected += refused;
          yield results;
        }
      } finally {
        // Otherwise it is over after a minute without a line.
        await store.batches.endUpload(batch).catch(() => {});
      }
    },
  };
}

/** By a line's place in its group: its id, why it has none, or null if the batch was cancelled. */
type IdAt = (place: number) => ReservedLine | Refusal | null;

/** How the lines of a batch get their ids, and which ids are kept. */
interface LineIds {
  /** Called before the lines are admitted. `full`: why no new line is accepted. */
  reserve(group: Group, full: Refusal | null): Promise<IdAt>;
  /** Called with the results of the readable lines; resolves with the results to answer. */
  recordAccepted(group: Group, results: LineResult[], idAt: IdAt): Promise<LineResult[]>;
}

type LineBatches = Store['batches'];

/**
 * With an idempotency key: reserves ids first, so that a repeated line counts once. Keeps the ids of refused lines and
 * the gaps before them as well, up to a limit.
 */
function createReservedIds(batches: LineBatches, upload: { batch: string; app: string }): LineIds {
  let accepted = 0;
  let refusedIds = 0;
  const reserveIds = async ({ from, lines }: Group, onlyKnown: boolean) => {
    try {
      return await batches.reserve({ ...upload, onlyKnown }, from, lines.map(readableLine));
    } catch (error) {
      return refuseUnavailable(error);
    }
  };
  return {
    reserve: async (group, full) => {
      // A refused line gets no id; a line that was accepted before is still answered.
      const refusal = full ?? (refusedIds > mostRefusedIds + accepted ? refuse('too_many_rejected') : null);
      const reserved = await reserveIds(group, refusal !== null);
      return Array.isArray(reserved) ? (place) => reserved[place] ?? refusal : () => reserved;
    },
    recordAccepted: async ({ lines }, results) => {
      const ids = results.filter(({ kind }) => kind !== 'refused').length;
      accepted += ids;
      refusedIds += lines.length - ids;
      return results;
    },
  };
}

/** Without a key: no line can be repeated, so only the ids of accepted lines are written, after their admission. */
function createNewIds(batches: LineBatches, upload: { batch: string; app: string }): LineIds {
  let cancelled = false;
  return {
    reserve: async ({ lines }, full) => {
      if (full || cancelled) return () => full;
      const ids = batches.newIds(lines.map(readableLine));
      return (place) => ids[place] ?? null;
    },
    recordAccepted: async ({ from, lines }, results, idAt) => {
      const mayBeAccepted = new Set(results.filter(mayHaveBeenAccepted).map(({ index }) => index));
      if (mayBeAccepted.size === 0) return results;
      const listed = lines.map((line, i) => {
        const id = idAt(i);
        if (!mayBeAccepted.has(from + i) || !line || !('request' in line)) return null;
        return id && typeof id === 'object' && 'id' in id ? { request: line.request, id: id.id } : null;
      });
      // An accepted OTP is sent even if it is not listed.
      cancelled ||= !(await batches.saveLineIds(upload, from, listed).catch(trueUnlessBug));
      if (!cancelled) return results;
      return results.map((result) =>
        result.kind === 'refused' ? result : refused(result.index, refuse('batch_cancelled')),
      );
    },
  };
}

/** An OTP may have been accepted although Redis did not answer. */
function mayHaveBeenAccepted(result: LineResult): boolean {
  return result.kind !== 'refused' || ['queue_unavailable', 'internal_error'].includes(result.refusal.code);
}

function trueUnlessBug(error: unknown): true {
  if (redisTrouble(error) === null) throw error;
  return true;
}

/** `id`: the line's id, why it has none, or null if the batch was cancelled. */
function toAdmissionRequest(
  line: UploadLine,
  id: ReservedLine | Refusal | null,
  of: { batch: string; line: number; startAt: number | null },
): AdmissionRequest | { refusal: Refusal } | null {
  if (!line || 'refusal' in line) return line;
  if (id === null) return { refusal: refuse('batch_cancelled') };
  if (id === 'reused') return { refusal: refuse('idempotency_key_reused') };
  if ('code' in id) return { refusal: id };
  return { request: line.request, reserved: { id: id.id, phones: id.phones, ...of } };
}

function readableLine(line: UploadLine): Line | null {
  return line && 'request' in line ? line : null;
}

/** Waits for the app's limit instead of refusing the line. */
async function admitWithinAppLimit(
  { enqueuer, signal }: { enqueuer: Pick<Enqueuer, 'enqueueMany'>; signal: AbortSignal | undefined },
  batch: EnqueuedBatch,
  asked: readonly AdmissionRequest[],
): Promise<Map<AdmissionRequest, Admission>> {
  const decided = new Map<AdmissionRequest, Admission>();
  let open = asked;
  while (open.length > 0) {
    const admissions = await enqueuer.enqueueMany(batch, open);
    for (const [i, each] of open.entries()) {
      const admission = admissions[i];
      if (admission) decided.set(each, admission);
    }
    const waits = open.flatMap((each) => appWait(decided.get(each)));
    open = open.filter((each) => appWait(decided.get(each)).length > 0);
    if (open.length === 0 || signal?.aborted) break;
    await sleep(Math.max(...waits), undefined, { signal }).catch(() => {});
  }
  return decided;
}

function appWait(admission: Admission | undefined): number[] {
  const limited = admission?.kind === 'refused' && admission.refusal.code === 'app_rate_limited';
  return limited ? [admission.refusal.retryAfterMs ?? 1_000] : [];
}

function toResult(
  line: ReturnType<typeof toAdmissionRequest>,
  index: number,
  admissions: Map<AdmissionRequest, Admission>,
): LineResult[] {
  if (!line) return [];
  if ('refusal' in line) return [refused(index, line.refusal)];
  const admission = admissions.get(line);
  if (!admission) return [refused(index, refuse('queue_unavailable'))];
  if (admission.kind === 'refused') return [refused(index, admission.refusal)];
  return [{ kind: admission.kind, index, id: admission.otp.id }];
}

function refused(index: number, refusal: Refusal): LineResult {
  return { kind: 'refused', index, refusal };
}

/** Groups lines, ending a group at the end of a chunk. */
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
    /** The lines since the last group. */
    rest: cut,
  };
}

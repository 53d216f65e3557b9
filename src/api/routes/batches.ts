import { z } from 'zod';
import { isoTime } from '../../lib/time.js';
import type { TimeSlices } from '../../lib/time-slices.js';
import { type Otp, type Status, statuses } from '../../otp/otp.js';
import { batchOfId } from '../../otp/otp-id.js';
import { batchMembers, startSchema } from '../../producer/upload.js';
import type { BatchQueue } from '../../queues/batch.js';
import type { BatchPlace } from '../../store/batch-list.js';
import { batchStatuses } from '../../store/batch-progress.js';
import type { Batch } from '../../store/batches.js';
import type { Store } from '../../store/store.js';
import { batchExample, sentOtp } from '../docs/examples.js';
import { ApiProblem } from '../http/problem.js';
import { instantParam, invalidRequest, limitParam } from '../http/request.js';
import { defineRoute, type Route } from '../http/route.js';
import { type AppSlots, ndjson, ndjsonOf, slotsPerApp } from './bulk.js';
import { otpView, skipUnreadable } from './otps.js';
import { type BatchOtp, batchListSchema, batchOtpSchema, batchOtpsSchema, batchSchema } from './schemas.js';

const tag = 'Batches';
const batchBody = { name: 'Batch', schema: batchSchema, example: batchExample };
const json = 'application/json';
const csv = 'text/csv';

/** Lines read at a time. */
const linesAtATime = 50;
/** Lines read for one page, also for a rare status: pages, unlike exports, have no slots. */
const mostRead = 1_000;

const querySchema = z.strictObject({
  status: z.enum(statuses).optional().describe('Only OTPs that have this status now.'),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'must be `next` of the previous page')
    .transform(Number)
    .pipe(z.int().min(0))
    .default(0)
    .describe('`next` of the previous page.'),
  limit: limitParam(500, 100).describe(
    'JSON: OTPs on a page, at most 500. NDJSON and CSV hold all OTPs from `cursor` on.',
  ),
});

const listSchema = z.strictObject({
  status: z.enum(batchStatuses).optional().describe('Only batches that have this status now.'),
  since: instantParam.optional().describe('Only batches created since then.'),
  until: instantParam.optional().describe('Only batches created before then.'),
  cursor: z
    .string()
    .regex(/^\d{1,15}-batch_[\w-]{22}$/, 'must be `next` of the previous page')
    .transform((cursor) => ({ at: Number.parseInt(cursor, 10), id: cursor.slice(cursor.indexOf('-') + 1) }))
    .meta({ type: 'string' })
    .optional()
    .describe('`next` of the previous page.'),
  limit: limitParam(100, 20).describe('Batches on a page, at most 100.'),
});

/** Batches read at a time, and for one page. */
const batchesAtATime = 20;
const mostBatchesRead = 200;
/** A batch may be listed a moment before it is created. */
const lateMs = 60_000;
/** A batch is listed with its first accepted OTP, for which an upload may wait. */
const longestWaitMs = 86_400_000;

const changeSchema = z
  .strictObject({
    paused: z.boolean().optional().describe('Pauses or resumes the batch.'),
    perSecond: batchMembers.perSecond
      .unwrap()
      .nullable()
      .optional()
      .describe('OTPs sent in a second at most; null: as many as can be sent.'),
    startAt: startSchema
      .optional()
      .describe('At most 7 days after the upload; deadlines move with it. In the past: now.'),
  })
  .refine((change) => Object.keys(change).length > 0, 'must have a member')
  .describe('A change of a batch. Members that are left out stay.');

/** List, read, change and cancel uploads, and list their OTPs. Batches of other apps look like missing ones. */
export function batchRoutes(options: {
  store: Pick<Store, 'batches' | 'otps'>;
  batchQueue: Pick<BatchQueue, 'wake'>;
  slices: TimeSlices;
  exportSlots: AppSlots;
}): Route[] {
  const { store, batchQueue, slices, exportSlots } = options;
  const found = async (app: string, id: string): Promise<Batch> => {
    const batch = await store.batches.find(app, id);
    if (!batch) throw new ApiProblem('batch_not_found');
    return batch;
  };
  const get = defineRoute({
    method: 'get',
    path: '/v1/batches/{id}',
    operationId: 'getBatch',
    tag,
    summary: 'Read a batch',
    description: 'Its status and progress, and its OTPs counted by status.',
    answers: {
      200: { description: 'The batch.', body: batchBody },
    },
    problems: ['batch_not_found', 'queue_unavailable'],
    handle: async ({ app, id }) => ({ status: 200, body: batchView(await found(app, id)) }),
  });
  const list = defineRoute({
    method: 'get',
    path: '/v1/batches',
    operationId: 'listBatches',
    tag,
    summary: 'List batches',
    description:
      'Batches with at least one accepted OTP, newest first. A page may be short or empty although `next` is set.',
    query: listSchema,
    answers: {
      200: {
        description: 'The batches.',
        body: { name: 'Batches', schema: batchListSchema, example: { batches: [batchExample], next: null } },
      },
    },
    problems: ['queue_unavailable'],
    handle: async ({ app, query }) => ({ status: 200, body: await batchPage(store, app, query) }),
  });
  const change = defineRoute({
    method: 'patch',
    path: '/v1/batches/{id}',
    operationId: 'changeBatch',
    tag,
    summary: 'Change a batch',
    description:
      'Pauses or resumes the batch, changes its pace, or its start before it has started. Members that are left out stay.',
    body: { name: 'BatchChange', schema: changeSchema, example: { paused: true } },
    answers: {
      200: { description: 'The changed batch.', body: batchBody },
    },
    problems: ['batch_not_found', 'batch_ended', 'batch_started', 'queue_unavailable'],
    handle: async ({ app, id, body: { startAt, ...change }, context }) => {
      const start = startAt === undefined ? undefined : Date.parse(startAt);
      const result = await store.batches.update(app, id, { ...change, startAt: start });
      if (result !== 'changed') throw notChanged(result);
      context.batchId = id;
      await batchQueue.wake(batchOfId(id) ?? '');
      return { status: 200, body: batchView(await found(app, id)) };
    },
  });
  const listOtps = defineRoute({
    method: 'get',
    path: '/v1/batches/{id}/otps',
    operationId: 'getBatchOtps',
    tag,
    summary: 'List the OTPs of a batch',
    description:
      `In the order of the upload: a page as JSON, or all from \`cursor\` on as \`${ndjson}\` or \`${csv}\`, by ` +
      '`Accept`. A page may be short or empty although `next` is set. ' +
      `An app may run ${slotsPerApp} NDJSON and CSV exports at a time.`,
    query: querySchema,
    answers: {
      200: {
        description: 'The OTPs with their current status.',
        headers: { 'Content-Disposition': 'CSV only: a file name' },
        body: {
          name: 'BatchOtps',
          schema: batchOtpsSchema,
          example: { otps: [{ index: 0, ...sentOtp }], next: null },
          records: { mediaTypes: [ndjson, csv], name: 'BatchOtp', schema: batchOtpSchema },
        },
      },
    },
    problems: ['batch_not_found', 'not_acceptable', 'too_many_exports', 'queue_unavailable'],
    handle: async ({ app, id, query, accepts, abortSignal }) => {
      const mediaType = accepts([json, ndjson, csv]);
      if (mediaType === '') throw new ApiProblem('not_acceptable');
      const { lines } = await found(app, id);
      const { status, cursor, limit } = query;
      const read = { app, id, status, lines, slices };
      if (mediaType === json) return { status: 200, body: await page(store, read, { cursor, limit }) };
      exportSlots.take(app, abortSignal());
      const records = exported(store, read, cursor);
      if (mediaType === ndjson) {
        const body = ndjsonOf(records, (record) => record);
        return { status: 200, headers: { 'Content-Type': ndjson }, body };
      }
      const asFile = { 'Content-Type': csv, 'Content-Disposition': `attachment; filename="${id}.csv"` };
      return { status: 200, headers: asFile, body: batchOtpsCsv(records) };
    },
  });
  const cancel = defineRoute({
    method: 'delete',
    path: '/v1/batches/{id}',
    operationId: 'cancelBatch',
    tag,
    summary: 'Cancel a batch',
    description:
      'Cancels the unsent OTPs and closes the batch to further lines. Codes already sent can still be verified.',
    answers: { 204: { description: 'Cancelled, or cancelled before.' } },
    problems: ['batch_not_found', 'queue_unavailable'],
    handle: async ({ app, id, context }) => {
      if (!(await store.batches.cancel(app, id))) throw new ApiProblem('batch_not_found');
      context.batchId = id;
      await batchQueue.wake(batchOfId(id) ?? '');
      return { status: 204 };
    },
  });
  return [list, get, change, listOtps, cancel];
}

export function notChanged(result: 'missing' | 'ended' | 'started' | 'too_late'): ApiProblem {
  if (result !== 'too_late') {
    return new ApiProblem(`batch_${result === 'missing' ? 'not_found' : result}`);
  }
  return invalidRequest({ path: 'startAt', message: 'must be at most 7 days after the upload' });
}

function batchView(batch: Batch): z.output<typeof batchSchema> {
  const { id, name, status, lines, perSecond, paused, waiting, waitsFor, rate, counts, cancelled } = batch;
  const time = (at: number | null) => (at === null ? null : isoTime(at));
  return {
    ...{ id, name, status, createdAt: isoTime(batch.createdAt), startAt: time(batch.startAt) },
    ...{ perSecond, paused, startedAt: time(batch.startedAt), finishedAt: time(batch.finishedAt) },
    ...{ waiting, waitsFor, rate, estimatedEnd: time(batch.estimatedEnd), lines, cancelled, counts },
  };
}

async function batchPage(
  { batches }: Pick<Store, 'batches'>,
  app: string,
  { status, since = 0, until = Number.MAX_SAFE_INTEGER, cursor, limit }: z.output<typeof listSchema>,
): Promise<z.output<typeof batchListSchema>> {
  let after: BatchPlace | null = cursor ?? { at: until + longestWaitMs, id: '' };
  const page: z.output<typeof batchSchema>[] = [];
  for (let read = 0; read < mostBatchesRead; read += batchesAtATime) {
    const places = await batches.newest(app, { since: since - lateMs, after, most: batchesAtATime });
    const found = await Promise.all(places.map((place) => batches.find(app, place.id)));
    for (const [i, batch] of found.entries()) {
      if (page.length === limit) return { batches: page, next: cursorAt(after) };
      after = places[i] ?? null;
      if (!batch || batch.createdAt < since || batch.createdAt >= until) continue;
      if (status === undefined || batch.status === status) page.push(batchView(batch));
    }
    if (places.length < batchesAtATime) return { batches: page, next: null };
  }
  return { batches: page, next: cursorAt(after) };
}

function cursorAt(place: BatchPlace | null): string | null {
  return place && `${place.at}-${place.id}`;
}

interface ReadOptions {
  app: string;
  id: string;
  status: Status | undefined;
  lines: number;
  slices: TimeSlices;
}

async function page(
  store: Pick<Store, 'batches' | 'otps'>,
  read: ReadOptions,
  { cursor, limit }: { cursor: number; limit: number },
): Promise<{ otps: BatchOtp[]; next: string | null }> {
  const otps: BatchOtp[] = [];
  const end = Math.min(read.lines, cursor + mostRead);
  for (let from = cursor; from < end; from += linesAtATime) {
    otps.push(...(await recordsOf(store, read, from)));
    const beyond = otps[limit];
    if (beyond) return { otps: otps.slice(0, limit), next: String(beyond.index) };
  }
  return { otps, next: end < read.lines ? String(end) : null };
}

async function* exported(
  store: Pick<Store, 'batches' | 'otps'>,
  read: ReadOptions,
  cursor: number,
): AsyncGenerator<BatchOtp[]> {
  for (let from = cursor; from < read.lines; from += linesAtATime) yield await recordsOf(store, read, from);
}

/** The OTPs of the next lines that were accepted, are still stored, and have the status. */
async function recordsOf(
  { batches, otps }: Pick<Store, 'batches' | 'otps'>,
  { app, id, status, lines, slices }: ReadOptions,
  from: number,
): Promise<BatchOtp[]> {
  const turn = slices.next();
  if (turn) await turn;
  const ids = await batches.lineIds(id, from, Math.min(linesAtATime, lines - from));
  const found = await Promise.all(
    ids.map((otp) => (otp === null ? null : otps.find(app, otp).catch(skipUnreadable))),
  );
  const view = (otp: Otp | null, i: number) =>
    otp && (status === undefined || otp.status === status) ? [{ index: from + i, ...otpView(otp) }] : [];
  return found.flatMap(view);
}

/** Columns of the CSV export; new ones are added after `failure`. */
const columns = [
  ...(['index', 'id', 'to', 'reference', 'status', 'createdAt', 'sentAt', 'expiresAt'] as const),
  ...(['uuid', 'smsId', 'credits', 'failure'] as const),
];

/**
 * OTPs as CSV with a header line (RFC 4180). A cell that a spreadsheet would compute gets an apostrophe in front, except
 * phone numbers in E.164, which compute to themselves.
 */
export async function* batchOtpsCsv(groups: AsyncIterable<BatchOtp[]>): AsyncGenerator<string> {
  yield line(columns);
  for await (const otps of groups) {
    const flat = otps.map((otp) => ({ ...otp, failure: otp.failure?.code ?? null }));
    yield flat.map((otp) => line(columns.map((column) => otp[column]))).join('');
  }
}

function line(values: readonly (string | number | null)[]): string {
  return `${values.map((value) => field(String(value ?? ''))).join(',')}\r\n`;
}

/** CSV injection (OWASP): a spreadsheet computes a cell with this beginning; some split cells at semicolons, even quoted. */
const formula = /^(?!\+\d+$)[=+\-@\t\r]|(?<=;)[=+\-@\t\r]/g;

/** Quotes semicolons as well: spreadsheets split at them in locales with a decimal comma. */
function field(value: string): string {
  const text = value.replaceAll(formula, "'$&");
  return /[",;\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

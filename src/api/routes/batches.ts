import { z } from 'zod';
import type { TimeSlices } from '../../lib/time-slices.js';
import { type Otp, type Status, statuses } from '../../otp/otp.js';
import type { Batch } from '../../store/batches.js';
import type { Store } from '../../store/store.js';
import { batchExample, batchOtpsExample } from '../docs/examples.js';
import { ApiProblem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';
import { createAppSlots, ndjson, slotsPerApp } from './bulk.js';
import { isoTime, otpView, skipUnreadable } from './otps.js';
import { type BatchOtp, batchOtpSchema, batchSchema } from './schemas.js';

const tag = 'Batches';
const json = 'application/json';
const csv = 'text/csv';

/** Lines read at a time. */
const linesAtATime = 50;
/** Lines read for one page, also for a rare status: pages, unlike exports, have no slots. */
const mostLimit = 1_000;
const defaultLimit = 100;

const querySchema = z.strictObject({
  status: z.enum(statuses).optional().describe('Only OTPs that have this status now.'),
  cursor: z.coerce
    .number<string>()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .default(0)
    .describe('`next` of the previous page.'),
  limit: z.coerce
    .number<string>()
    .int()
    .min(1)
    .max(mostLimit)
    .default(defaultLimit)
    .describe(`JSON: OTPs on a page, at most ${mostLimit}. NDJSON and CSV hold all OTPs from \`cursor\` on.`),
});

/** Count, list and cancel the OTPs of an upload. Batches of other apps look like missing ones. */
export function batchRoutes({
  store,
  slices,
}: {
  store: Pick<Store, 'batches' | 'otps'>;
  slices: TimeSlices;
}): Route[] {
  const exportSlots = createAppSlots('too_many_exports');
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
    summary: 'Count the OTPs of a batch',
    description: 'The number of OTPs of the batch by status.',
    answers: {
      200: { description: 'The batch.', body: { name: 'Batch', schema: batchSchema, example: batchExample } },
    },
    problems: ['batch_not_found', 'queue_unavailable'],
    handle: async ({ app, id }) => {
      const { createdAt, lines, counts, cancelled } = await found(app, id);
      return { status: 200, body: { id, createdAt: isoTime(createdAt), lines, counts, cancelled } };
    },
  });
  const list = defineRoute({
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
          schema: z.object({ otps: z.array(batchOtpSchema), next: z.string().nullable() }),
          example: batchOtpsExample,
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
      if (mediaType === ndjson)
        return { status: 200, headers: { 'Content-Type': ndjson }, body: asNdjson(records) };
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
    handle: async ({ app, id, setBatchId }) => {
      if (!(await store.batches.cancel(app, id))) throw new ApiProblem('batch_not_found');
      setBatchId(id);
      return { status: 204 };
    },
  });
  return [get, list, cancel];
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
  const end = Math.min(read.lines, cursor + mostLimit);
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
  const ids = await batches.ids(id, from, Math.min(linesAtATime, lines - from));
  const found = await Promise.all(
    ids.map((otp) => (otp === null ? null : otps.find(app, otp).catch(skipUnreadable))),
  );
  const view = (otp: Otp | null, i: number) =>
    otp && (status === undefined || otp.status === status) ? [{ index: from + i, ...otpView(otp) }] : [];
  return found.flatMap(view);
}

async function* asNdjson(groups: AsyncIterable<BatchOtp[]>): AsyncGenerator<string> {
  for await (const records of groups) yield records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

/** Columns of the CSV export; new ones are added after `failure`. */
const columns: Record<string, (otp: BatchOtp) => string | number | null> = {
  index: ({ index }) => index,
  id: ({ id }) => id,
  to: ({ to }) => to,
  reference: ({ reference }) => reference,
  status: ({ status }) => status,
  createdAt: ({ createdAt }) => createdAt,
  sentAt: ({ sentAt }) => sentAt,
  expiresAt: ({ expiresAt }) => expiresAt,
  uuid: ({ uuid }) => uuid,
  smsId: ({ smsId }) => smsId,
  credits: ({ credits }) => credits,
  failure: ({ failure }) => failure?.code ?? null,
};

/**
 * OTPs as CSV with a header line (RFC 4180). A cell that a spreadsheet would compute gets an apostrophe in front, except
 * phone numbers in E.164, which compute to themselves.
 */
export async function* batchOtpsCsv(groups: AsyncIterable<BatchOtp[]>): AsyncGenerator<string> {
  yield line(Object.keys(columns));
  for await (const otps of groups) {
    yield otps.map((otp) => line(Object.values(columns).map((column) => column(otp)))).join('');
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

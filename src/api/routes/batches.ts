import { z } from 'zod';
import type { TimeSlices } from '../../lib/time-slices.js';
import type { Otp } from '../../otp/otp.js';
import { type Status, statuses } from '../../otp/states.js';
import type { Batch } from '../../store/batches.js';
import type { Store } from '../../store/store.js';
import { batchExample, batchOtpsExample } from '../docs/examples.js';
import { createAppSlots, slotsPerApp } from '../http/app-slots.js';
import { ApiProblem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';
import { unreadable } from '../http/unreadable-record.js';
import { batchOtpsCsv } from './batch-csv.js';
import { ndjson } from './bulk.js';
import { isoTime, otpView } from './otp-view.js';
import { type BatchOtp, batchOtpSchema, batchSchema } from './schemas.js';

export interface BatchesDependencies {
  store: Pick<Store, 'batches' | 'otps'>;
  slices: TimeSlices;
}

const tag = 'Batches';
const json = 'application/json';
const csv = 'text/csv';

/** Lines that are read at a time, and of one page at most: a rare status must not make a request endless. */
const linesAtATime = 50;
const mostLinesOfPage = 10_000;
const mostLimit = 1_000;
const defaultLimit = 100;

const querySchema = z.strictObject({
  status: z.enum(statuses).optional().describe('Only those that have it now.'),
  cursor: z.coerce
    .number<string>()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .default(0)
    .describe('`next` of the page before.'),
  limit: z.coerce
    .number<string>()
    .int()
    .min(1)
    .max(mostLimit)
    .default(defaultLimit)
    .describe(
      `JSON: at most so many on a page, up to ${mostLimit}. NDJSON and CSV hold everything from \`cursor\` on.`,
    ),
});

/** Looking after many OTPs that were uploaded together. Batches of other apps do not exist. */
export function batchRoutes({ store, slices }: BatchesDependencies): Route[] {
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
    description: 'How many of its OTPs have which status.',
    answers: {
      200: { description: 'The batch.', body: { name: 'Batch', schema: batchSchema, example: batchExample } },
    },
    problems: ['batch_not_found', 'queue_unavailable'],
    handle: async ({ app, id }) => {
      const batch = await found(app, id);
      return { status: 200, body: { ...batch, createdAt: isoTime(batch.createdAt) } };
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
      '`Accept`. A page may be short, or empty, while `next` says that there is more. ' +
      `An app may have ${slotsPerApp} NDJSON and CSV exports under way at a time.`,
    query: querySchema,
    answers: {
      200: {
        description: 'The OTPs as they are now.',
        headers: { 'Content-Disposition': 'CSV only: a name for the file' },
        body: {
          name: 'BatchOtps',
          schema: z.object({ otps: z.array(batchOtpSchema), next: z.string().nullable() }),
          example: batchOtpsExample,
          records: { mediaTypes: [ndjson, csv], name: 'BatchOtp', schema: batchOtpSchema },
        },
      },
    },
    problems: ['batch_not_found', 'not_acceptable', 'too_many_exports', 'queue_unavailable'],
    handle: async ({ app, id, query, accepts, gone }) => {
      const mediaType = accepts([json, ndjson, csv]);
      if (mediaType === '') throw new ApiProblem('not_acceptable');
      const { lines } = await found(app, id);
      const { status, cursor, limit } = query;
      const read = { app, id, status, lines, slices };
      if (mediaType === json) return { status: 200, body: await page(store, read, { cursor, limit }) };
      exportSlots.take(app, gone());
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
      'Nothing of it is sent any more, and nothing can be added to it. What has been sent can still be verified.',
    answers: { 204: { description: 'Cancelled, now or before.' } },
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
  store: BatchesDependencies['store'],
  read: ReadOptions,
  { cursor, limit }: { cursor: number; limit: number },
): Promise<{ otps: BatchOtp[]; next: string | null }> {
  const otps: BatchOtp[] = [];
  const end = Math.min(read.lines, cursor + mostLinesOfPage);
  for (let from = cursor; from < end; from += linesAtATime) {
    otps.push(...(await recordsOf(store, read, from)));
    const beyond = otps[limit];
    if (beyond) return { otps: otps.slice(0, limit), next: String(beyond.index) };
  }
  return { otps, next: end < read.lines ? String(end) : null };
}

async function* exported(
  store: BatchesDependencies['store'],
  read: ReadOptions,
  cursor: number,
): AsyncGenerator<BatchOtp[]> {
  for (let from = cursor; from < read.lines; from += linesAtATime) yield await recordsOf(store, read, from);
}

/** Those of the next lines that were accepted, are still kept, and have the status. */
async function recordsOf(
  { batches, otps }: BatchesDependencies['store'],
  { app, id, status, lines, slices }: ReadOptions,
  from: number,
): Promise<BatchOtp[]> {
  const turn = slices.next();
  if (turn) await turn;
  const ids = await batches.ids(id, from, Math.min(linesAtATime, lines - from));
  const found = await Promise.all(
    ids.map((otp) => (otp === null ? null : otps.find(app, otp).catch(unreadable))),
  );
  const view = (otp: Otp | null, i: number) =>
    otp && (status === undefined || otp.status === status) ? [{ index: from + i, ...otpView(otp) }] : [];
  return found.flatMap(view);
}

async function* asNdjson(groups: AsyncIterable<BatchOtp[]>): AsyncGenerator<string> {
  for await (const records of groups) yield records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

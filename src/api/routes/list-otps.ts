import { z } from 'zod';
import { createTimeSlices, type TimeSlices } from '../../lib/time-slices.js';
import { type Otp, statuses } from '../../otp/otp.js';
import { batchId, batchOfId } from '../../otp/otp-id.js';
import { purposeSchema, referenceSchema } from '../../producer/otp-request.js';
import type { ListPlace, OtpFilter } from '../../store/otp-list.js';
import type { Store } from '../../store/store.js';
import { sentOtp } from '../docs/examples.js';
import { ApiProblem } from '../http/problem.js';
import { defineRoute, type Route } from '../http/route.js';
import { type AppSlots, ndjson, slotsPerApp } from './bulk.js';
import { otpView, skipUnreadable } from './otps.js';
import { otpListSchema, otpSchema } from './schemas.js';

const json = 'application/json';
/** OTPs read at a time, and for one page, also with a filter that few pass. */
const otpsAtATime = 200;
const mostRead = 2_000;
const mostLimit = 1_000;
/** On a cluster, clocks of masters differ: an OTP may be listed among those of this much later. */
const lateMs = 60_000;

export const timeSchema = z.iso.datetime({
  offset: true,
  error: 'must be an RFC 3339 date and time with Z or an offset',
});

/** `next` of a page. */
export const cursorSchema = z
  .string()
  .refine((cursor) => placeOf(cursor) !== null, 'must be `next` of the previous page');

/** Where a page begins: in the list of an app, or before this line of a batch. */
type Place = ListPlace | { line: number };

/** Which OTPs are listed, and from where on. */
interface ListQuery extends OtpFilter {
  batch?: string | undefined;
  after: Place | null;
}

const querySchema = z
  .strictObject({
    status: z.enum(statuses).optional().describe('Only OTPs that have this status now.'),
    purpose: purposeSchema.optional().describe('Only OTPs with this purpose.'),
    reference: referenceSchema
      .optional()
      .describe('Only OTPs with this id of your own: the newest 100, without further pages.'),
    batch: z
      .string()
      .regex(/^batch_[\w-]{22}$/, 'must be the id of a batch')
      .optional()
      .describe('Only OTPs of this batch, last lines first.'),
    since: timeSchema.optional().describe('Only OTPs accepted since then.'),
    until: timeSchema.optional().describe('Only OTPs accepted before then.'),
    cursor: cursorSchema
      .optional()
      .describe('`next` of the previous page; the other parameters stay the same.'),
    limit: z.coerce
      .number<string>()
      .int()
      .min(1)
      .max(mostLimit)
      .default(100)
      .describe(`JSON: OTPs on a page, at most ${mostLimit}. NDJSON holds all OTPs from \`cursor\` on.`),
  })
  .refine(({ reference, batch, cursor }) => reference === undefined || !(batch ?? cursor), {
    error: 'cannot be combined with `batch` and `cursor`',
    path: ['reference'],
  })
  .refine(
    ({ batch, cursor }) => {
      const place = cursor === undefined ? null : placeOf(cursor);
      return place === null || 'line' in place === (batch !== undefined);
    },
    { error: 'must be `next` of the previous page of the same list', path: ['cursor'] },
  );

/** List an app's OTPs. */
export function listOtps(options: {
  store: Pick<Store, 'batches' | 'otps'>;
  slices: TimeSlices;
  exportSlots: AppSlots;
}): Route {
  const { store, slices, exportSlots } = options;
  return defineRoute({
    method: 'get',
    path: '/v1/otps',
    operationId: 'listOtps',
    tag: 'OTPs',
    summary: 'List OTPs',
    description:
      `The app's OTPs that are still kept, newest first: a page as JSON, or all from \`cursor\` on as \`${ndjson}\`, by ` +
      `\`Accept\`. A request reads ${mostRead.toLocaleString('en')} OTPs at most, so with a filter that few OTPs pass, a page ` +
      'may be short or empty: go on until `next` is null. OTPs that are accepted meanwhile are on no later page. ' +
      `An app may run ${slotsPerApp} NDJSON and CSV exports at a time.`,
    query: querySchema,
    answers: {
      200: {
        description: 'The OTPs with their current status.',
        body: {
          name: 'OtpList',
          schema: otpListSchema,
          example: { otps: [sentOtp], next: 'NDg0NjQ0LjQ3MTE' },
          records: { mediaTypes: [ndjson], name: 'Otp', schema: otpSchema },
        },
      },
    },
    problems: ['batch_not_found', 'not_acceptable', 'too_many_exports', 'queue_unavailable'],
    handle: async ({ app, query, accepts, abortSignal }) => {
      const mediaType = accepts([json, ndjson]);
      if (mediaType === '') throw new ApiProblem('not_acceptable');
      const { reference, cursor, limit, ...filter } = query;
      const list = { ...withTimes(filter), after: cursor === undefined ? null : placeOf(cursor) };
      const isPage = mediaType === json;
      if (!isPage) exportSlots.take(app, abortSignal());
      if (reference !== undefined) {
        const otps = (await store.otps.findByReference(app, reference)).filter((otp) => passes(otp, list));
        if (!isPage) return { status: 200, headers: { 'Content-Type': ndjson }, body: lines([otps]) };
        return { status: 200, body: { otps: otps.slice(0, limit).map(otpView), next: null } };
      }
      const groups = await walk(store, app, list, slices);
      if (!isPage) return { status: 200, headers: { 'Content-Type': ndjson }, body: lines(all(groups)) };
      const { otps, next } = await page(groups, limit);
      return { status: 200, body: { otps: otps.map(otpView), next } };
    },
  });
}

/** A page of an app's OTPs, newest first. */
export async function otpPage(
  store: Pick<Store, 'batches' | 'otps'>,
  app: string,
  { cursor, limit, ...list }: Omit<ListQuery, 'after'> & { cursor: string | undefined; limit: number },
) {
  const after = cursor === undefined ? null : placeOf(cursor);
  return await page(await walk(store, app, { ...list, after }, createTimeSlices()), limit);
}

/** Reads the next OTPs, at most `most`; null at the end. */
type Walk = (
  most: number,
) => Promise<{ otps: { otp: Otp; place: Place }[]; read: number; next: Place } | null>;

async function walk(
  store: Pick<Store, 'batches' | 'otps'>,
  app: string,
  { batch, after, ...filter }: ListQuery,
  slices: TimeSlices,
): Promise<Walk> {
  const nextIds =
    batch === undefined
      ? listed(store, app, { after, ...filter })
      : await linesOf(store, app, { batch, after });
  let isOver = false;
  return async (most) => {
    const turn = slices.next();
    if (turn) await turn;
    const ids = isOver ? null : await nextIds(Math.min(most, otpsAtATime));
    if (!ids) return null;
    const found = await Promise.all(
      ids.map(({ id }) => (id === null ? null : store.otps.findIf(app, id, filter).catch(skipUnreadable))),
    );
    const otps = ids.flatMap(({ place }, i) => {
      const otp = found[i]?.otp;
      return otp && isOfHour(otp, place) ? [{ otp, place }] : [];
    });
    const oldest = (filter.since ?? 0) - lateMs;
    isOver = batch === undefined && found.some((one) => one?.createdAt != null && one.createdAt < oldest);
    const last = ids.at(-1);
    return last ? { otps, read: ids.length, next: last.place } : null;
  };
}

/** One that was accepted again under its id, after Redis lost it, stands in two lists. */
function isOfHour({ createdAt }: Otp, place: Place): boolean {
  return !('hour' in place) || place.hour === Math.floor(createdAt / 3_600_000);
}

/** The next ids of a list, and the place after each; null at the end. */
type NextIds = (most: number) => Promise<{ id: string | null; place: Place }[] | null>;

function listed(
  { otps, batches }: Pick<Store, 'batches' | 'otps'>,
  app: string,
  { after, ...filter }: Omit<ListQuery, 'batch'>,
): NextIds {
  let next = after && 'hour' in after ? after : null;
  return async (most) => {
    const entries = await otps.listed(app, next, { ...filter, most });
    if (!entries) return null;
    const ids: { id: string | null; place: ListPlace }[] = [];
    for (const { entry, place } of entries) {
      if (ids.length === most) break;
      next = place;
      if ('id' in entry) {
        ids.push({ id: entry.id, place });
        continue;
      }
      const skipped = Math.max(0, entry.count - (most - ids.length));
      const lines = await batches.lineIds(batchId(entry.batch), entry.from + skipped, entry.count - skipped);
      const placeBefore = (line: number) => (line === 0 ? place : { ...place, within: line });
      ids.push(...lines.map((id, i) => ({ id, place: placeBefore(skipped + i) })).reverse());
      next = placeBefore(skipped);
    }
    return ids;
  };
}

async function linesOf(
  { batches }: Pick<Store, 'batches'>,
  app: string,
  { batch, after }: { batch: string; after: Place | null },
): Promise<NextIds> {
  const facts = await batches.facts(batchOfId(batch) ?? '');
  if (facts?.app !== app) throw new ApiProblem('batch_not_found');
  let line = Math.min(facts.lines, after && 'line' in after ? after.line : facts.lines);
  return async (most) => {
    if (line === 0) return null;
    const count = Math.min(most, line);
    line -= count;
    const ids = await batches.lineIds(batch, line, count);
    return ids.map((id, i) => ({ id, place: { line: line + i } })).reverse();
  };
}

async function page(walk: Walk, limit: number): Promise<{ otps: Otp[]; next: string | null }> {
  const otps: Otp[] = [];
  let place: Place | null = null;
  for (let read = 0; read < mostRead; ) {
    // A page that few OTPs fill reads ahead; the first read is that of a page without a filter.
    const group = await walk(Math.min(read === 0 ? limit : otpsAtATime, mostRead - read));
    if (!group) return { otps, next: null };
    read += group.read;
    place = group.next;
    for (const each of group.otps) {
      otps.push(each.otp);
      if (otps.length === limit) return { otps, next: cursorOf(each.place) };
    }
  }
  return { otps, next: place && cursorOf(place) };
}

async function* all(walk: Walk): AsyncGenerator<Otp[]> {
  for (let group = await walk(otpsAtATime); group; group = await walk(otpsAtATime)) {
    yield group.otps.map(({ otp }) => otp);
  }
}

async function* lines(groups: Iterable<Otp[]> | AsyncIterable<Otp[]>): AsyncGenerator<string> {
  for await (const otps of groups) yield otps.map((otp) => `${JSON.stringify(otpView(otp))}\n`).join('');
}

/** A filter with its times as ms since 1970. */
export function withTimes<F extends { since?: string | undefined; until?: string | undefined }>({
  since,
  until,
  ...filter
}: F) {
  const ms = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));
  return { ...filter, since: ms(since), until: ms(until) };
}

/** Whether an OTP passes a filter. */
export function passes(
  otp: Otp,
  { status, purpose, since = 0, until = Number.POSITIVE_INFINITY }: OtpFilter,
): boolean {
  if (status !== undefined && otp.status !== status) return false;
  if (purpose !== undefined && otp.purpose !== purpose) return false;
  return otp.createdAt >= since && otp.createdAt < until;
}

function cursorOf(place: Place): string {
  const numbers = 'line' in place ? [place.line] : [place.hour, place.before, place.within ?? 0];
  return Buffer.from(numbers.join('.')).toString('base64url');
}

/** The place that a cursor stands for; null for any other text. */
function placeOf(cursor: string): Place | null {
  const text = cursor.length > 48 ? '' : Buffer.from(cursor, 'base64url').toString('latin1');
  if (!/^\d{1,12}(\.\d{1,12}\.\d{1,6})?$/.test(text)) return null;
  const [first = 0, before, within] = text.split('.').map(Number);
  if (before === undefined) return { line: first };
  return { hour: first, before, ...(within && { within }) };
}

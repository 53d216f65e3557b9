import { z } from 'zod';
import { mapOrdered } from '../../lib/map-ordered.js';
import type { TimeSlices } from '../../lib/time-slices.js';
import type { Enqueuer } from '../../producer/enqueue.js';
import { createRequestReader, type Read } from '../../producer/otp-request.js';
import { otpRequestSchema } from '../../producer/otp-request-schema.js';
import { refuse } from '../../producer/refusal.js';
import type { RequestSettings } from '../../producer/settings.js';
import {
  beginUpload,
  createGrouping,
  type Group,
  groupsInFlight,
  type LineResult,
  refusalText,
  type Upload,
  type UploadLine,
} from '../../producer/upload.js';
import type { Store } from '../../store/store.js';
import { bulkRequestExample, bulkResultExample } from '../docs/examples.js';
import { createAppSlots, slotsPerApp } from '../http/app-slots.js';
import { isMediaType, jsonText } from '../http/body.js';
import { allowSlowBody } from '../http/body-deadline.js';
import { contextOf } from '../http/context.js';
import { idempotencyKeyHeader } from '../http/idempotency-key.js';
import { longestLineBytes, type ReadLine, readLines } from '../http/lines.js';
import { ApiProblem } from '../http/problem.js';
import { type Answer, abortSignal, defineRoute, parseHeaders, type Route } from '../http/route.js';
import { readDocument, readItem } from './bulk-document.js';
import type { ApiMetrics } from './metrics.js';
import { bulkLineSchema, bulkResultSchema } from './schemas.js';

/** What accepting many OTPs needs. */
export interface BulkDependencies {
  store: Pick<Store, 'batches'>;
  enqueuer: Pick<Enqueuer, 'enqueueMany' | 'refusesBulk'>;
  settings: RequestSettings;
  metrics: Pick<ApiMetrics, 'accepted' | 'refused'>;
  slices: TimeSlices;
}

const mostOtps = 10_000;
/** An OTP has eight. */
const mostMembers = 32;
/** 10,000 OTPs of 200 bytes each. */
const mostBytes = 2 * 1_024 * 1_024;
/** A JSON answer comes as a whole, so it waits for an app's limit no longer than any other answer may take. */
const jsonWithinMs = 30_000;
export const ndjson = 'application/x-ndjson';

const headersSchema = z.object({
  'Idempotency-Key': idempotencyKeyHeader
    .optional()
    .describe('With it, a broken upload is simply sent again: each line counts once.'),
});

/** An upload whose lines are counted. */
interface CountedUpload extends Pick<Upload, 'batchId'> {
  accept(group: Group, signal: AbortSignal): Promise<LineResult[]>;
}

/** `POST /v1/otps/bulk`: as one JSON document, or line by line. */
export function bulkRoute({ store, enqueuer, settings, metrics, slices }: BulkDependencies): Route {
  const bulkSettings = { ...settings, sendDeadlineSeconds: settings.bulkSendDeadlineSeconds };
  const reader = createRequestReader(bulkSettings);
  const slots = createAppSlots('too_many_uploads');
  const toLine = (app: string, line: ReadLine, defaults?: object) =>
    uploadLine(reader.read, app, { line, defaults });
  const begin = async (app: string, key: string | undefined): Promise<CountedUpload> => {
    const upload = await beginUpload({ store, enqueuer }, app, key ?? null);
    if (!upload) throw new ApiProblem('batch_cancelled');
    const accept = async (group: Group, signal: AbortSignal) => {
      const results = await upload.accept(group, signal);
      countLines(metrics, app, results);
      return results;
    };
    return { batchId: upload.batchId, accept };
  };
  const records = { mediaTypes: [ndjson] };
  const bodySchema = z.strictObject({
    defaults: otpRequestSchema(bulkSettings)
      .omit({ to: true })
      .optional()
      .describe('Members for every OTP that has none of its own.'),
    otps: z
      .array(z.unknown())
      .min(1)
      .max(mostOtps)
      .describe(`At most ${mostOtps.toLocaleString('en')}; each is shaped as an OtpRequest.`)
      .meta({ items: { $ref: '#/components/schemas/OtpRequest' } }),
  });
  const json = defineRoute({
    method: 'post',
    path: '/v1/otps/bulk',
    operationId: 'createOtps',
    tag: 'Batches',
    summary: 'Send many OTPs',
    description:
      `Accepts up to ${mostOtps.toLocaleString('en')} OTPs as JSON, ${mostBytes / 2 ** 20} MiB at most, or any number as \`${ndjson}\`, one OTP a line, ` +
      'which is answered line by line and ends with `{"summary": {…}}`; read the answers while you write. An OTP may have ' +
      `${longestLineBytes / 1_024} KiB. One bad OTP never spoils the others. Single OTPs overtake them, and apps take turns. ` +
      `An app may have ${slotsPerApp} uploads under way at a time. Lines over an app's limit wait for it, in JSON for ` +
      `${jsonWithinMs / 1_000} s at most. \`sendDeadlineSeconds\` is ${settings.bulkSendDeadlineSeconds} where an OTP says nothing else.`,
    body: {
      name: 'BulkRequest',
      schema: bodySchema,
      example: bulkRequestExample,
      read: (req) => readDocument(jsonText(req, mostBytes), { mostOtps, slices }),
      records: { ...records, name: 'OtpRequest', schema: otpRequestSchema(settings) },
    },
    headers: headersSchema,
    answers: {
      202: {
        description:
          'Every OTP was looked at; `results` says what became of each. Where none was accepted there may be no batch.',
        headers: { Location: 'Path of the batch' },
        body: {
          name: 'BulkResult',
          schema: bulkResultSchema,
          example: bulkResultExample,
          records: { ...records, name: 'BulkLine', schema: bulkLineSchema },
        },
      },
    },
    problems: [
      'body_too_large',
      'unsupported_media_type',
      'too_many_uploads',
      'queue_unavailable',
      'batch_cancelled',
      // Of lines, as the codes of single OTPs are.
      'too_many_refused',
    ],
    handle: async ({ app, body, headers, gone, setBatchId }) => {
      const upload = await begin(app, headers['Idempotency-Key']);
      setBatchId(upload.batchId);
      const signal = gone(jsonWithinMs);
      const lines = mapped(body.otps, (text) => toLine(app, readItem(text), body.defaults));
      const groups = groupsOf([lines], slices);
      const results: LineResult[] = [];
      for await (const ofGroup of mapOrdered(groups, groupsInFlight, (group) =>
        upload.accept(group, signal),
      )) {
        results.push(...ofGroup);
      }
      return answer(upload, { ...summaryOf(upload, results), results: results.map(resultView) });
    },
  });
  return {
    ...json,
    run: async (req, res) => {
      const app = contextOf(res).app ?? '';
      slots.take(app, abortSignal(res));
      if (!isMediaType(req, ndjson)) return await json.run(req, res);
      allowSlowBody(req, res);
      const upload = await begin(app, parseHeaders(headersSchema, req)['Idempotency-Key']);
      Object.assign(contextOf(res), { batchId: upload.batchId, operation: json.operationId });
      const groups = groupsOf(
        linesOf(req, (line) => toLine(app, line)),
        slices,
      );
      const { status, headers, body } = answer(upload, answerLines(upload, groups, abortSignal(res)));
      return { status, headers: { ...headers, 'Content-Type': ndjson }, body };
    },
  };
}

/** A line that comes again was counted before. */
function countLines(metrics: BulkDependencies['metrics'], app: string, results: readonly LineResult[]): void {
  let fresh = 0;
  for (const result of results) {
    if ('refusal' in result) metrics.refused(app, 'bulk', result.refusal.code);
    else if (!result.replayed) fresh += 1;
  }
  metrics.accepted(app, 'bulk', fresh);
}

function answer({ batchId }: CountedUpload, body: object): Answer {
  return { status: 202, headers: { Location: `/v1/batches/${batchId}` }, body };
}

type ReadInput = (app: string, input: unknown) => Read;

/** What a line asks for, completed with the defaults; what has members without end is not even looked at. */
function uploadLine(
  read: ReadInput,
  app: string,
  { line, defaults }: { line: ReadLine; defaults: object | undefined },
): UploadLine {
  if (line === null) return null;
  if ('problem' in line) return { refusal: refuse('invalid_request', { message: line.problem }) };
  const tooMany = isObject(line.json) && Object.keys(line.json).length > mostMembers;
  if (tooMany)
    return { refusal: refuse('invalid_request', { message: 'It has members that are not known here.' }) };
  return read(app, defaults && isObject(line.json) ? { ...defaults, ...line.json } : line.json);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function* linesOf(
  body: AsyncIterable<Buffer>,
  toLine: (line: ReadLine) => UploadLine,
): AsyncGenerator<Iterable<UploadLine>> {
  for await (const lines of readLines(body)) yield mapped(lines, toLine);
}

function* mapped<T>(items: Iterable<T>, toLine: (item: T) => UploadLine): Generator<UploadLine> {
  for (const item of items) yield toLine(item);
}

/**
 * The groups of the lines that are there at a time, each of which is read when its turn comes, in time slices. What
 * arrived is not held back until a group is full: whoever waits for its answer may send no more before.
 */
async function* groupsOf(
  arrivals: AsyncIterable<Iterable<UploadLine>> | Iterable<Iterable<UploadLine>>,
  slices: TimeSlices,
): AsyncGenerator<Group> {
  const grouping = createGrouping();
  for await (const lines of arrivals) {
    // What arrives in tiny chunks may hold no line at all.
    const arrival = slices.next();
    if (arrival) await arrival;
    for (const line of lines) {
      yield* grouping.add(line);
      const turn = slices.next();
      if (turn) await turn;
    }
    yield* grouping.rest();
  }
}

async function* answerLines(
  upload: CountedUpload,
  groups: AsyncIterable<Group>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let [accepted, rejected] = [0, 0];
  for await (const results of mapOrdered(groups, groupsInFlight, (group) => upload.accept(group, signal))) {
    const summary = summaryOf(upload, results);
    accepted += summary.accepted;
    rejected += summary.rejected;
    yield results.map((result) => `${JSON.stringify(resultView(result))}\n`).join('');
  }
  yield `${JSON.stringify({ summary: { batchId: upload.batchId, accepted, rejected } })}\n`;
}

function summaryOf({ batchId }: CountedUpload, results: readonly LineResult[]) {
  const accepted = results.filter((result) => 'id' in result).length;
  return { batchId, accepted, rejected: results.length - accepted };
}

function resultView(result: LineResult) {
  const { index } = result;
  if ('id' in result) return { index, id: result.id };
  const { refusal } = result;
  return { index, code: refusal.code, message: refusalText(refusal) };
}

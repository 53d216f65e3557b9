import { z } from 'zod';
import type { Acceptor } from '../producer/acceptance.js';
import { inOrder } from '../producer/in-order.js';
import { createRequestReader, type Read } from '../producer/otp-request.js';
import { otpRequestSchema } from '../producer/otp-request-schema.js';
import { refuse } from '../producer/refusal.js';
import type { RequestSettings } from '../producer/settings.js';
import {
  beginUpload,
  createGrouping,
  type Group,
  groupsInFlight,
  type LineResult,
  refusalText,
  type Upload,
  type UploadLine,
} from '../producer/upload.js';
import type { Store } from '../store/store.js';
import { isMediaType } from './body.js';
import { takesItsTime } from './body-deadline.js';
import { contextOf } from './context.js';
import { bulkRequestExample, bulkResultExample } from './examples.js';
import { idempotencyKeyHeader } from './idempotency-key.js';
import { type ReadLine, readLines } from './lines.js';
import type { ApiMetrics } from './metrics.js';
import { ApiProblem } from './problem.js';
import { type Answer, defineRoute, goneSignal, parseHeaders, type Route } from './route.js';
import { bulkLineSchema, bulkResultSchema } from './schemas.js';

/** What accepting many OTPs needs. */
export interface BulkDependencies {
  store: Pick<Store, 'batches'>;
  acceptor: Pick<Acceptor, 'many' | 'refusesAll'>;
  settings: RequestSettings;
  metrics: Pick<ApiMetrics, 'accepted' | 'refused'>;
}

const mostOtps = 10_000;
/** An OTP has eight. */
const mostMembers = 32;
const mostBytes = 16 * 1_024 * 1_024;
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
export function bulkRoute({ store, acceptor, settings, metrics }: BulkDependencies): Route {
  const bulkSettings = { ...settings, sendWithinSeconds: settings.bulkSendWithinSeconds };
  const reader = createRequestReader(bulkSettings);
  const begin = async (app: string, key: string | undefined): Promise<CountedUpload> => {
    const upload = await beginUpload({ store, acceptor }, app, key ?? null);
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
      `Accepts up to ${mostOtps.toLocaleString('en')} OTPs as JSON, or any number as \`${ndjson}\`, one OTP a line, which is answered line ` +
      'by line and ends with `{"summary": {…}}`. One bad OTP never spoils the others. Single OTPs overtake them, and ' +
      `apps take turns. Lines over an app's limit wait for it, in JSON for ${jsonWithinMs / 1_000} s at most. \`sendWithinSeconds\` is ${settings.bulkSendWithinSeconds} where an OTP says nothing else.`,
    body: {
      name: 'BulkRequest',
      schema: bodySchema,
      example: bulkRequestExample,
      limitBytes: mostBytes,
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
    problems: ['body_too_large', 'unsupported_media_type', 'queue_unavailable', 'batch_cancelled'],
    handle: async ({ app, body, headers, gone, concernsBatch }) => {
      const upload = await begin(app, headers['Idempotency-Key']);
      concernsBatch(upload.batchId);
      const signal = gone(jsonWithinMs);
      const groups = groupsOf(
        body.otps.map((each) => () => readItem(reader.read, app, merged(body.defaults, each))),
      );
      const results: LineResult[] = [];
      for await (const ofGroup of inOrder(groups, groupsInFlight, (group) => upload.accept(group, signal))) {
        results.push(...ofGroup);
      }
      return answer(upload, { ...summaryOf(upload, results), results: results.map(resultView) });
    },
  });
  return {
    ...json,
    run: async (req, res) => {
      if (!isMediaType(req, ndjson)) return await json.run(req, res);
      takesItsTime(req, res);
      const app = contextOf(res).app ?? '';
      const upload = await begin(app, parseHeaders(headersSchema, req)['Idempotency-Key']);
      Object.assign(contextOf(res), { batchId: upload.batchId, operation: json.operationId });
      const groups = groupsOfLines(req, (line) => ndjsonLine(reader.read, app, line));
      const { status, headers, body } = answer(upload, answerLines(upload, groups, goneSignal(res)));
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

function ndjsonLine(read: ReadInput, app: string, line: ReadLine): UploadLine {
  if (line === null) return null;
  if ('json' in line) return read(app, line.json);
  return { refusal: refuse('invalid_request', { message: line.problem }) };
}

/** An item with the members that it leaves out; what is no object is refused by itself. */
function merged(defaults: object | undefined, item: unknown): unknown {
  if (!defaults || typeof item !== 'object' || item === null || Array.isArray(item)) return item;
  return { ...defaults, ...item };
}

/** Each is read when its group's turn comes, so that others are served in between. */
function* groupsOf(items: readonly (() => UploadLine)[]): Generator<Group> {
  const grouping = createGrouping();
  for (const read of items) yield* grouping.add(read());
  yield* grouping.rest();
}

/** What has members without end is not even looked at. */
function readItem(read: ReadInput, app: string, input: unknown): UploadLine {
  const tooMany = typeof input === 'object' && input !== null && Object.keys(input).length > mostMembers;
  if (tooMany)
    return { refusal: refuse('invalid_request', { message: 'It has members that are not known here.' }) };
  return read(app, input);
}

/** What arrived is not held back until a group is full: whoever waits for its answer may send no more before. */
async function* groupsOfLines(
  body: AsyncIterable<Buffer>,
  toLine: (line: ReadLine) => UploadLine,
): AsyncGenerator<Group> {
  const grouping = createGrouping();
  for await (const lines of readLines(body)) {
    for (const line of lines) yield* grouping.add(toLine(line));
    yield* grouping.rest();
  }
}

async function* answerLines(
  upload: CountedUpload,
  groups: AsyncIterable<Group>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let [accepted, rejected] = [0, 0];
  for await (const results of inOrder(groups, groupsInFlight, (group) => upload.accept(group, signal))) {
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

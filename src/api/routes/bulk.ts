import { z } from 'zod';
import type { TimeSlices } from '../../lib/time-slices.js';
import type { OtpRequest } from '../../otp/otp.js';
import { refusalMessages, refuse } from '../../otp/refusal.js';
import { createRequestReader, otpRequestSchema } from '../../producer/otp-request.js';
import {
  batchMembers,
  beginUpload,
  createGrouping,
  type Group,
  type LineResult,
  toBatchOptions,
  type Upload,
  type UploadLine,
} from '../../producer/upload.js';
import type { ApiDependencies } from '../dependencies.js';
import { batchExample, sentOtp } from '../docs/examples.js';
import type { Answer } from '../http/answer.js';
import {
  allowSlowBody,
  isMediaType,
  jsonText,
  longestLineBytes,
  type ReadLine,
  readLines,
} from '../http/body.js';
import { contextOf } from '../http/context.js';
import { ApiProblem, retryAfter, unreadable } from '../http/problem.js';
import type { ProblemCode } from '../http/problems.js';
import { headerOf, idempotencyKeyHeader, parseHeaders, parseInput } from '../http/request.js';
import { abortSignal, defineRoute, type Route } from '../http/route.js';
import { readDocument, readItem } from './bulk-document.js';
import { bulkLineSchema, bulkResultSchema } from './schemas.js';

const mostOtps = 10_000;
/** Members of one OTP; more are rejected unread. */
const mostMembers = 32;
/** 10,000 OTPs of 200 bytes each. */
const mostBytes = 2 * 1_024 * 1_024;
/** How long a JSON upload waits for its app's limit: its answer is sent as a whole. */
const jsonWithinMs = 30_000;
/** `Retry-After` of `too_many_batches`: batches end in minutes, not seconds. */
const batchRetryAfterMs = 60_000;
export const ndjson = 'application/x-ndjson';

const headersSchema = z.object({
  'Idempotency-Key': idempotencyKeyHeader
    .optional()
    .describe('Allows to repeat a broken upload: each line counts once.'),
});

const inBody = 'In JSON, `name`, `startAt` and `perSecond` are members of the body.';
const ofNdjson = (member: z.ZodType) => `NDJSON only. ${member.description}`;
const querySchema = z.strictObject({
  name: batchMembers.name.describe(ofNdjson(batchMembers.name)),
  startAt: batchMembers.startAt.describe(ofNdjson(batchMembers.startAt)),
  perSecond: z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number from 1 to 10,000')
    .transform(Number)
    .pipe(batchMembers.perSecond.unwrap())
    .optional()
    .describe(ofNdjson(batchMembers.perSecond)),
});

/** `POST /v1/otps/bulk`: one JSON document, or newline-delimited JSON. */
export function bulkRoute({ store, enqueuer, settings, metrics, slices }: ApiDependencies): Route {
  const bulkSettings = { ...settings, sendDeadlineSeconds: settings.bulkSendDeadlineSeconds };
  const toLine = createLineReader(createRequestReader(bulkSettings));
  const slots = createAppSlots('too_many_uploads');
  const begin = async (
    app: string,
    key: string | undefined,
    options: Parameters<typeof toBatchOptions>[0],
  ): Promise<Upload> => {
    const upload = await beginUpload({ store, enqueuer, onResults: createLineCounter(metrics, app) }, app, {
      ...toBatchOptions(options),
      idempotencyKey: key ?? null,
    });
    if (typeof upload !== 'string') return upload;
    const isTemporary = upload === 'too_many_batches';
    throw new ApiProblem(upload, isTemporary ? { headers: retryAfter(batchRetryAfterMs) } : {});
  };
  const records = { mediaTypes: [ndjson] };
  const bodySchema = z
    .strictObject({
      ...batchMembers,
      defaults: otpRequestSchema(bulkSettings)
        .omit({ to: true })
        .optional()
        .describe('Members for each OTP that does not have its own.'),
      otps: z
        .array(z.unknown())
        .min(1)
        .max(mostOtps)
        .describe(`At most ${mostOtps.toLocaleString('en')}; each is an OtpRequest.`)
        .meta({ items: { $ref: '#/components/schemas/OtpRequest' } }),
    })
    .describe('An upload of OTPs.');
  const json = defineRoute({
    method: 'post',
    path: '/v1/otps/bulk',
    operationId: 'createOtps',
    tag: 'Batches',
    summary: 'Send many OTPs',
    description:
      `Accepts up to ${mostOtps.toLocaleString('en')} OTPs as JSON, ${mostBytes / 2 ** 20} MiB at most, or any number as \`${ndjson}\`, one OTP per ` +
      'line, which is answered line by line and ends with `{"summary": {…}}`; read the answers while you write. An OTP may ' +
      `have ${longestLineBytes / 1_024} KiB. An invalid OTP does not affect the others. Single OTPs are sent first, and apps are served in turn. ` +
      `An app may run ${slotsPerApp} uploads at a time. Lines over the app's limit wait for it, in JSON for ` +
      `${jsonWithinMs / 1_000} s at most. \`sendDeadlineSeconds\` is ${settings.bulkSendDeadlineSeconds} by default, and ` +
      'counts from `startAt`. An upload that is repeated under its key keeps the options of the first time.',
    body: {
      name: 'BulkRequest',
      schema: bodySchema,
      example: {
        name: 'Friday',
        startAt: '2025-04-01T08:00:00Z',
        perSecond: 50,
        defaults: { message: 'Your code is %OTP%' },
        otps: [{ to: '+60123456789' }, { to: '012-345 678' }],
      },
      read: (call) => readDocument(jsonText(call, mostBytes), { mostOtps, slices }),
      records: { ...records, name: 'OtpRequest', schema: otpRequestSchema(settings) },
    },
    headers: headersSchema,
    query: querySchema,
    answers: {
      202: {
        description: '`results` holds a result for each OTP. If none was accepted, the batch may not exist.',
        headers: { Location: 'Path of the batch' },
        body: {
          name: 'BulkResult',
          schema: bulkResultSchema,
          example: {
            batchId: batchExample.id,
            accepted: 1,
            rejected: 1,
            results: [
              { index: 0, id: sentOtp.id },
              { index: 1, code: 'invalid_phone_number', message: refusalMessages.invalid_phone_number },
            ],
          },
          records: { ...records, name: 'BulkLine', schema: bulkLineSchema },
        },
      },
    },
    problems: [
      'body_too_large',
      'unsupported_media_type',
      'too_many_uploads',
      'too_many_batches',
      'queue_unavailable',
      'batch_cancelled',
      // Answered for a line, like the problem codes of single OTPs.
      'too_many_rejected',
    ],
    handle: async ({ app, body, query, headers, abortSignal, context }) => {
      if (Object.keys(query).length > 0) throw unreadable(inBody);
      const upload = await begin(app, headers['Idempotency-Key'], body);
      context.batchId = upload.summary.batchId;
      const signal = abortSignal(jsonWithinMs);
      const groups = groupsOf([body.otps], slices, (text) => toLine(app, readItem(text), body.defaults));
      const results: LineResult[] = [];
      for await (const ofGroup of upload.accept(groups, signal)) results.push(...ofGroup);
      return answer(upload, { ...upload.summary, results: results.map(resultView) });
    },
  });
  return {
    ...json,
    run: async (call) => {
      const { req, res } = call;
      const app = contextOf(res).app ?? '';
      slots.take(app, abortSignal(res));
      // Without a type there is no body: that is no upload of nothing.
      if (headerOf(req, 'Content-Type') === '' || !isMediaType(req, ndjson)) return await json.run(call);
      allowSlowBody(req, res);
      const { 'Idempotency-Key': key } = parseHeaders(headersSchema, req);
      const upload = await begin(app, key, parseInput(querySchema, call.query));
      Object.assign(contextOf(res), { batchId: upload.summary.batchId, operation: json.operationId });
      const groups = groupsOf(readLines(req), slices, (line) => toLine(app, line));
      const { status, headers, body } = answer(upload, answerLines(upload, groups, abortSignal(res)));
      return { status, headers: { ...headers, 'Content-Type': ndjson }, body };
    },
  };
}

/** Creates a function that counts new lines; a repeated line was counted before. */
function createLineCounter(metrics: ApiDependencies['metrics'], app: string) {
  return (results: readonly LineResult[], { from, lines }: Group): void => {
    const fresh: OtpRequest[] = [];
    for (const result of results) {
      const line = lines[result.index - from];
      const request = line && 'request' in line ? line.request : null;
      if (result.kind === 'refused') metrics.rejected(app, 'bulk', { code: result.refusal.code, request });
      else if (result.kind === 'created' && request) fresh.push(request);
    }
    metrics.accepted(app, 'bulk', fresh);
  };
}

function answer({ summary }: Upload, body: object): Answer {
  return { status: 202, headers: { Location: `/v1/batches/${summary.batchId}` }, body };
}

/** Creates a function that reads a line, completed with the defaults; one with too many members is rejected unread. */
function createLineReader({ read }: ReturnType<typeof createRequestReader>) {
  return (app: string, line: ReadLine, defaults?: object): UploadLine => {
    if (line === null) return null;
    if ('problem' in line) return { refusal: refuse('invalid_request', { message: line.problem }) };
    if (isObject(line.json) && Object.keys(line.json).length > mostMembers) {
      const message = `An OTP has at most ${mostMembers} members.`;
      return { refusal: refuse('invalid_request', { message }) };
    }
    return read(app, defaults && isObject(line.json) ? { ...defaults, ...line.json } : line.json);
  };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Groups the lines of each portion of the body, reading them in time slices. Does not wait until a group is full: the
 * client may be waiting for its answers before it sends more.
 */
async function* groupsOf<T>(
  arrivals: AsyncIterable<Iterable<T>> | Iterable<Iterable<T>>,
  slices: TimeSlices,
  toLine: (item: T) => UploadLine,
): AsyncGenerator<Group> {
  const grouping = createGrouping();
  for await (const lines of arrivals) {
    // A tiny portion may hold no complete line.
    const arrival = slices.next();
    if (arrival) await arrival;
    for (const line of lines) {
      yield* grouping.add(toLine(line));
      const turn = slices.next();
      if (turn) await turn;
    }
    yield* grouping.rest();
  }
}

async function* answerLines(
  upload: Upload,
  groups: AsyncIterable<Group>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  yield* ndjsonOf(upload.accept(groups, signal), resultView);
  yield `${JSON.stringify({ summary: upload.summary })}\n`;
}

function resultView(result: LineResult) {
  const { index } = result;
  if (result.kind !== 'refused') return { index, id: result.id };
  const { code, message } = result.refusal;
  return { index, code, message };
}

/** Records as newline-delimited JSON. */
export async function* ndjsonOf<T>(
  groups: AsyncIterable<readonly T[]> | Iterable<readonly T[]>,
  view: (record: T) => object,
): AsyncGenerator<string> {
  for await (const group of groups) yield group.map((one) => `${JSON.stringify(view(one))}\n`).join('');
}

/** Uploads, and exports, that an app may run at a time in one process: each holds a few hundred lines in memory. */
export const slotsPerApp = 4;

const retryAfterMs = 5_000;

/** The slots of apps for one kind of request. */
export type AppSlots = ReturnType<typeof createAppSlots>;

/** Limits the concurrent requests of each app; `problem` answers further ones. */
export function createAppSlots(problem: ProblemCode) {
  const taken = new Map<string, number>();
  return {
    /** Takes a slot until the signal aborts at the end of the request; throws the problem if none is free. */
    take: (app: string, over: AbortSignal): void => {
      const before = taken.get(app) ?? 0;
      if (before >= slotsPerApp) throw new ApiProblem(problem, { headers: retryAfter(retryAfterMs) });
      // An aborted signal emits no event.
      if (over.aborted) return;
      taken.set(app, before + 1);
      const free = () => {
        const left = (taken.get(app) ?? 1) - 1;
        if (left > 0) taken.set(app, left);
        else taken.delete(app);
      };
      over.addEventListener('abort', free, { once: true });
    },
  };
}

import { z } from 'zod';
import { errorText, parseWithErrors } from '../lib/input-errors.js';
import { withTimeouts } from '../lib/with-timeout.js';
import type { Status } from '../otp/otp.js';
import { type Refusal, refusalMessages, refuse } from '../otp/refusal.js';
import type { Admission } from '../store/admission.js';
import { tooManyBatches } from './backpressure.js';
import type { Enqueuer } from './enqueue.js';
import {
  createRequestReader,
  idempotencyKeySchema,
  type OtpInput,
  type RequestSettings,
  sendEndpoint,
} from './otp-request.js';
import { redisDeadlineMs, refuseUnavailable } from './redis-trouble.js';
import {
  batchMembers,
  beginUpload,
  createGrouping,
  type Group,
  type LineResult,
  toBatchOptions,
  type UploadLine,
  type UploadOptions,
  type UploadRefusal,
  type UploadSummary,
} from './upload.js';

/** An accepted OTP; the gateway's API finds it by its id. */
export interface AcceptedOtp {
  id: string;
  status: Status;
  createdAt: Date;
  /** If it is not sent by then, it is dropped instead of sent late. */
  sendDeadline: Date;
}

/** `replayed`: a request with the same idempotency key created the OTP. */
export type SendResult =
  | { kind: 'created' | 'replayed'; otp: AcceptedOtp }
  | { kind: 'refused'; refusal: Refusal };

export interface SendManyOptions {
  /** Makes an interrupted upload repeatable: each OTP counts once, by its place and content. */
  idempotencyKey?: string;
  /** Name of the batch, for people: at most 100 characters. A repeated upload keeps its first name, start and pace. */
  name?: string;
  /** When the batch starts, at most 7 days ahead; text is RFC 3339. Default, and in the past: at once. */
  startAt?: Date | string;
  /** OTPs sent in a second at most, 1 to 10,000. Default: as many as can be sent. */
  perSecond?: number;
  /** Called in order, for each OTP that was processed. */
  onResult?: (result: LineResult) => void;
  /** Called after each group of up to a few hundred. */
  onProgress?: (progress: UploadSummary) => void;
  /** Stops reading; groups in progress are finished, and the summary counts them. */
  signal?: AbortSignal;
}

/** Enqueues OTPs of one app straight into Redis, with the same checks and limits as the gateway's API. */
export interface OtpProducer {
  /** A single OTP. A refusal is a value; rejects only for a bug. */
  send(otp: OtpInput, options?: { idempotencyKey?: string }): Promise<SendResult>;
  /**
   * Any number of OTPs, as one batch that single OTPs overtake. Reads an async iterable only as fast as it processes
   * it, so that memory stays constant. Rejects when the iterable does, when Redis cannot be reached at the start, with
   * `UploadRefused` if the key's batch was cancelled or the app has 1,000 batches with unsent OTPs, and with a
   * `TypeError` for an invalid key, name, start or pace.
   */
  sendMany(
    otps: Iterable<OtpInput> | AsyncIterable<OtpInput>,
    options?: SendManyOptions,
  ): Promise<UploadSummary>;
  /** Closes the connection to Redis, unless it is the app's own. */
  close(): Promise<void>;
}

/** `sendMany` enqueued no OTP in this call; `code` says why. */
export class UploadRefused extends Error {
  override readonly name = 'UploadRefused';

  constructor(readonly code: UploadRefusal) {
    super(code === 'too_many_batches' ? tooManyBatches : refusalMessages[code]);
  }
}

/** A producer of its parts; `createOtpProducer` makes them from settings. */
export function createProducer({
  app,
  enqueuer,
  settings,
  connected,
  close,
  ...parts
}: {
  app: string;
  store: UploadOptions['store'];
  enqueuer: Enqueuer;
  settings: RequestSettings;
  /** Resolves once connected, or after a deadline. */
  connected: Promise<void>;
  close(): Promise<void>;
}): OtpProducer {
  const store = withTimeouts(parts.store, redisDeadlineMs);
  const single = createRequestReader(settings);
  const bulk = createRequestReader({ ...settings, sendDeadlineSeconds: settings.bulkSendDeadlineSeconds });
  return {
    send: async (input, { idempotencyKey: key } = {}) => {
      const refusedKey = keyRefusal(key);
      const read = refusedKey ? { refusal: refusedKey } : single.read(app, input);
      if ('refusal' in read) return { kind: 'refused', refusal: read.refusal };
      const idempotency = key === undefined ? null : { endpoint: sendEndpoint, key, body: read.text };
      await connected;
      return toSendResult(await enqueuer.enqueue(read.request, idempotency).catch(unavailable));
    },
    sendMany: async (inputs, { onResult, onProgress, signal, ...options } = {}) => {
      const { idempotencyKey = null, ...batch } = validOptions(options);
      await connected;
      const upload = await beginUpload({ store, enqueuer }, app, {
        ...toBatchOptions(batch),
        idempotencyKey,
      });
      if (typeof upload === 'string') throw new UploadRefused(upload);
      const groups = groupsOf(inputs, (input) => bulk.read(app, input), signal);
      for await (const results of upload.accept(groups, signal)) {
        for (const result of results) onResult?.(result);
        onProgress?.({ ...upload.summary });
      }
      return { ...upload.summary };
    },
    close,
  };
}

const keySchema = z.object({ idempotencyKey: idempotencyKeySchema.optional() });
const optionsSchema = keySchema.extend(batchMembers);

function validOptions({ startAt, ...options }: SendManyOptions): z.output<typeof optionsSchema> {
  const isInvalid = startAt instanceof Date && Number.isNaN(startAt.getTime());
  const time = startAt instanceof Date && !isInvalid ? startAt.toISOString() : startAt;
  const parsed = parseWithErrors(optionsSchema, { ...options, startAt: time });
  if ('data' in parsed) return parsed.data;
  throw new TypeError(errorText(parsed.errors));
}

/** Why a key is invalid, as the API would say it. */
function keyRefusal(key: string | undefined): Refusal | null {
  const parsed = parseWithErrors(keySchema, { idempotencyKey: key });
  return 'data' in parsed ? null : refuse('invalid_request', parsed);
}

function unavailable(error: unknown): Admission {
  return { kind: 'refused', refusal: refuseUnavailable(error) };
}

function toSendResult(admission: Admission): SendResult {
  if (admission.kind === 'refused') return { kind: 'refused', refusal: admission.refusal };
  const { id, status, createdAt, sendDeadline } = admission.otp;
  const times = { createdAt: new Date(createdAt), sendDeadline: new Date(sendDeadline) };
  return { kind: admission.kind, otp: { id, status, ...times } };
}

async function* groupsOf(
  inputs: Iterable<OtpInput> | AsyncIterable<OtpInput>,
  toLine: (input: OtpInput) => UploadLine,
  signal: AbortSignal | undefined,
): AsyncGenerator<Group> {
  const grouping = createGrouping();
  for await (const input of inputs) {
    if (signal?.aborted) break;
    yield* grouping.add(toLine(input));
  }
  yield* grouping.rest();
}

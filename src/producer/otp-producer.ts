import { z } from 'zod';
import { mapOrdered } from '../lib/map-ordered.js';
import { withTimeouts } from '../lib/with-timeout.js';
import type { Otp } from '../otp/otp.js';
import type { Status } from '../otp/states.js';
import type { Acceptance, Enqueuer } from './enqueue.js';
import { parseWithErrors } from './input-errors.js';
import { createRequestReader, sendEndpoint } from './otp-request.js';
import { idempotencyKeySchema, type OtpInput } from './otp-request-schema.js';
import { redisDeadlineMs, redisTrouble } from './redis-trouble.js';
import { type Refusal, refuse } from './refusal.js';
import type { RequestSettings } from './settings.js';
import {
  beginUpload,
  createGrouping,
  type Group,
  groupsInFlight,
  type LineResult,
  type UploadDependencies,
  type UploadLine,
} from './upload.js';

/** An OTP that was accepted, as the gateway's API knows it by its id. */
export interface AcceptedOtp {
  id: string;
  status: Status;
  createdAt: Date;
  /** Not sent by then, it is dropped instead of sent late. */
  sendDeadline: Date;
}

/** What became of one request; `replayed`: its idempotency key had been used for the same request before. */
export type SendResult =
  | { accepted: true; otp: AcceptedOtp; replayed: boolean }
  | { accepted: false; refusal: Refusal };

/** What became of one of many; `index` counts from 0. */
export type SendManyResult =
  | { index: number; accepted: true; id: string }
  | { index: number; accepted: false; refusal: Refusal };

/** How far an upload has come. */
export interface SendManyProgress {
  batchId: string;
  accepted: number;
  rejected: number;
}

export interface SendManyOptions {
  /** With it, what broke off is simply sent again: each OTP counts once, by its place and content. */
  idempotencyKey?: string;
  /** Called in order, for each OTP that was looked at. */
  onResult?: (result: SendManyResult) => void;
  /** Called after every few hundred. */
  onProgress?: (progress: SendManyProgress) => void;
  /** Ends it after what is under way; the summary says how far it came. */
  signal?: AbortSignal;
}

/** Enqueues OTPs of one app straight into Redis, with the same checks and limits as the gateway's API. */
export interface OtpProducer {
  /** One that somebody waits for. What is wrong with it is a value; only a bug makes it reject. */
  send(otp: OtpInput, options?: { idempotencyKey?: string }): Promise<SendResult>;
  /**
   * Any number, as one batch that single ones overtake. Takes from an async iterable only what it can work on, so
   * that memory stays constant. Rejects when the iterable does, when Redis cannot be reached at the beginning, with
   * `BatchCancelled` when the key's batch was, and with a `TypeError` for a key that is none.
   */
  sendMany(
    otps: Iterable<OtpInput> | AsyncIterable<OtpInput>,
    options?: SendManyOptions,
  ): Promise<SendManyProgress>;
  /** Lets go of Redis, unless the connection is the app's own. */
  close(): Promise<void>;
}

/** The batch of this idempotency key was cancelled: nothing is added to it. */
export class BatchCancelled extends Error {
  override readonly name = 'BatchCancelled';
}

export interface OtpProducerParts extends UploadDependencies {
  app: string;
  enqueuer: Enqueuer;
  settings: RequestSettings;
  /** Resolves once the connection is there, or has had its time. */
  connected: Promise<void>;
  close(): Promise<void>;
}

/** A producer made of its parts; `createOtpProducer` makes the parts, too. */
export function createProducer(parts: OtpProducerParts): OtpProducer {
  const { app, enqueuer, settings, connected, close } = parts;
  const store = withTimeouts(parts.store, redisDeadlineMs);
  const single = createRequestReader(settings);
  const bulk = createRequestReader({ ...settings, sendDeadlineSeconds: settings.bulkSendDeadlineSeconds });
  return {
    send: async (input, { idempotencyKey } = {}) => {
      const refusedKey = keyRefusal(idempotencyKey);
      if (refusedKey) return { accepted: false, refusal: refusedKey };
      const read = single.read(app, input);
      if ('refusal' in read) return { accepted: false, refusal: read.refusal };
      const idempotency =
        idempotencyKey === undefined
          ? null
          : { endpoint: sendEndpoint, key: idempotencyKey, body: read.text };
      await connected;
      return toSendResult(await enqueuer.enqueue(read.request, idempotency).catch(unavailable));
    },
    sendMany: async (inputs, { idempotencyKey, onResult, onProgress, signal } = {}) => {
      const refusedKey = keyRefusal(idempotencyKey);
      if (refusedKey) throw new TypeError(refusedKey.message);
      await connected;
      const upload = await beginUpload({ store, enqueuer }, app, idempotencyKey ?? null);
      if (!upload) throw new BatchCancelled('the batch of this idempotency key was cancelled');
      const progress = { batchId: upload.batchId, accepted: 0, rejected: 0 };
      const groups = groupsOf(inputs, (input) => bulk.read(app, input), signal);
      for await (const results of mapOrdered(groups, groupsInFlight, (group) =>
        upload.accept(group, signal),
      )) {
        for (const result of results) {
          if ('id' in result) progress.accepted += 1;
          else progress.rejected += 1;
          onResult?.(toManyResult(result));
        }
        onProgress?.({ ...progress });
      }
      return progress;
    },
    close,
  };
}

const keySchema = z.object({ idempotencyKey: idempotencyKeySchema.optional() });

/** Why a key is invalid, as the API would say it. */
function keyRefusal(key: string | undefined): Refusal | null {
  const parsed = parseWithErrors(keySchema, { idempotencyKey: key });
  return 'data' in parsed ? null : refuse('invalid_request', parsed);
}

/** Trouble with Redis is an answer: the same key asks again. */
function unavailable(error: unknown): Acceptance {
  const reason = redisTrouble(error);
  if (reason === null) throw error;
  return { kind: 'refused', refusal: refuse('queue_unavailable', { reason }) };
}

function toSendResult(acceptance: Acceptance): SendResult {
  if (acceptance.kind === 'refused') return { accepted: false, refusal: acceptance.refusal };
  return { accepted: true, replayed: acceptance.kind === 'replayed', otp: toAcceptedOtp(acceptance.otp) };
}

function toAcceptedOtp({ id, status, createdAt, sendDeadline }: Otp): AcceptedOtp {
  return { id, status, createdAt: new Date(createdAt), sendDeadline: new Date(sendDeadline) };
}

function toManyResult(result: LineResult): SendManyResult {
  if ('id' in result) return { index: result.index, accepted: true, id: result.id };
  return { index: result.index, accepted: false, refusal: result.refusal };
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

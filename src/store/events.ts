import { z } from 'zod';
import { withTimeout } from '../lib/with-timeout.js';
import { budgetPeriods } from '../otp/budget.js';
import { eventTypes, type GatewayEvent } from '../otp/event.js';
import { statuses } from '../otp/otp.js';
import { batchId, batchOfId, partitions } from '../otp/otp-id.js';
import { keys } from './keys.js';
import { shownRange } from './number-ranges.js';
import { failureCodes } from './record.js';
import { json, loadListScript, type RedisClient } from './script.js';

/** Events, each written by the step that caused it, that wait for the webhook queue. */
export type Events = ReturnType<typeof createEvents>;

/** Of each stream at a time: a few hundred in all, so that a read blocks no other command for long. */
const readAtATime = 10;
/** A master of a cluster that takes longer counts as unavailable. */
const readWithinMs = 1_000;

/** Sources of events, each with a stream in its own slot. The index in this list is part of an event's id. */
const sources = [...partitions, 'sending', 'balance', 'ranges', 'conversion', 'budgets', 'batches'];

const common = { type: z.enum(eventTypes), at: z.coerce.number() };
const ofApp = { ...common, app: z.string() };
const orNull = z.string().transform((text) => text || null);
const isoTime = z.coerce.number().transform((ms) => new Date(ms).toISOString());
const endOfBatch = z.object({
  status: z.enum(['finished', 'cancelled']),
  lines: z.number(),
  counts: z.record(z.enum(statuses), z.number()),
});
/** Each kind of event as its stream holds it. All members but the common ones are its subject. */
const entrySchema = z.union([
  z
    .object({ ...ofApp, id: z.string(), failure: z.enum(['', ...failureCodes]) })
    .transform(({ id, failure, ...rest }) => ({ otpId: id, ...rest, failure: failure || null })),
  z.object({ ...common, credits: z.coerce.number(), expiresOn: orNull }),
  z
    .object({ ...common, trouble: z.string(), text: orNull.default(null), app: z.string().optional() })
    .transform(({ app, ...rest }) => (app === undefined ? rest : { ...rest, app })),
  z.object({ ...common, range: z.string() }).transform(({ range, ...rest }) => {
    const [app = '', digits = ''] = range.split(' ');
    return { ...rest, app, range: shownRange(digits) };
  }),
  z
    .object({ ...ofApp, batch: z.string(), name: orNull, end: json(endOfBatch).optional() })
    .transform(({ batch, end, ...rest }) => ({ id: batchId(batch), ...rest, ...end })),
  z.object({
    ...ofApp,
    period: z.enum(budgetPeriods),
    budget: z.coerce.number(),
    used: z.coerce.number(),
    endsAt: isoTime,
  }),
  z.object({ ...ofApp, country: z.string(), sent: z.coerce.number(), verified: z.coerce.number() }),
]);
const entriesReply = z.array(z.tuple([z.string(), z.array(z.string())]));

/** The events in Redis: a stream in each partition, and one for each other source. */
export function createEvents(redis: RedisClient) {
  const readScript = loadListScript(redis, 'gateway/events#read');
  const forgetScript = loadListScript(redis, 'gateway/events#forget');
  const unanswered = new Set<string>();
  /** A stream whose master is unavailable delays no other, and is read again once it has answered. */
  const readOne = async (key: string): Promise<unknown> => {
    if (unanswered.has(key)) return new Error('the master of these events does not answer');
    unanswered.add(key);
    const reading = readScript([{ key, args: [readAtATime] }]).finally(() => unanswered.delete(key));
    return await withTimeout(reading, readWithinMs).then(
      ([first]) => first,
      (error: unknown) => error,
    );
  };
  return {
    /** The oldest that wait, and where each is kept, in the streams that can be read. Rejects when none can. */
    read: async () => {
      const streams = sources.map((source) => keys.events(source));
      const answers = redis.isCluster
        ? await Promise.all(streams.map(readOne))
        : await readScript(streams.map((key) => ({ key, args: [readAtATime] })));
      const failures = answers.filter((answer) => answer instanceof Error);
      if (failures.length === streams.length) throw failures[0];
      return answers.flatMap((answer, i) => {
        if (answer instanceof Error) return [];
        const key = streams[i] ?? '';
        return entriesReply.parse(answer).map(([entry, fields]) => ({
          key,
          entry,
          /** Null: this version cannot read it, such as an event of a newer one. */
          event: toEvent(eventId(i, entry), fields),
        }));
      });
    },
    /** Deletes events that the webhook queue holds from now on. */
    forget: async (events: readonly { key: string; entry: string }[]) => {
      const byStream = Map.groupBy(events, ({ key }) => key);
      const calls = [...byStream].map(([key, ofStream]) => ({
        key,
        args: [JSON.stringify(ofStream.map(({ entry }) => entry))],
      }));
      if (calls.length === 0) return;
      const failed = (await forgetScript(calls)).find((answer) => answer instanceof Error);
      if (failed) throw failed;
    },
  };
}

/**
 * From Redis's own id of the entry, `<ms>-<n>`: unique, and in the order of time. To the base of 36, since logs mask
 * digits that may be a phone number.
 */
function eventId(source: number, entry: string): string {
  const [ms = '', n = ''] = entry.split('-');
  const moment = Number(ms).toString(36).padStart(9, '0');
  return `evt_${moment}_${n.padStart(4, '0')}_${String(source).padStart(2, '0')}`;
}

/** The same for each copy: after a killed worker, the event of a batch may be written again. */
function batchEventId(type: string, at: number, id: string): string {
  return `evt_${at.toString(36).padStart(9, '0')}_${batchOfId(id)}_${type.slice('batch.'.length)}`;
}

function toEvent(id: string, fields: readonly string[]): GatewayEvent | null {
  const pairs = Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i], fields[2 * i + 1]]);
  const { success, data } = entrySchema.safeParse(Object.fromEntries(pairs));
  if (!success) return null;
  const { type, at, ...about } = data;
  return { id: 'id' in about ? batchEventId(type, at, about.id) : id, type, at, about };
}

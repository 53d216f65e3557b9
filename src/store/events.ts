import { z } from 'zod';
import { groupBy } from '../lib/group-by.js';
import { withTimeout } from '../lib/with-timeout.js';
import { budgetPeriods } from '../otp/budget.js';
import { type EventSubject, eventTypes, type GatewayEvent } from '../otp/event.js';
import { statuses } from '../otp/otp.js';
import { batchId, partitions } from '../otp/otp-id.js';
import { keys } from './keys.js';
import { shownRange } from './number-ranges.js';
import { failureCodes } from './record.js';
import { json, loadListScript, type RedisClient } from './script.js';

/** Events, each written by the step that caused it, that wait for the webhook queue. */
export type Events = ReturnType<typeof createEvents>;

/** An event and where it is kept. */
export interface StoredEvent {
  key: string;
  entry: string;
  /** Null: this version cannot read it, such as an event of a newer one. */
  event: GatewayEvent | null;
}

/** Of each stream at a time: a few hundred in all, so that a read blocks no other command for long. */
const readAtATime = 10;
/** A master of a cluster that takes longer counts as unavailable. */
const readWithinMs = 1_000;

/** Sources of events, each with a stream in its own slot. The index in this list is part of an event's id. */
const sources = [...partitions, 'sending', 'balance', 'ranges', 'conversion', 'budgets', 'batches'];

const type = z.enum(eventTypes);
const moment = z.coerce.number();
const entrySchema = z.union([
  z.object({
    type,
    at: moment,
    id: z.string(),
    app: z.string(),
    failure: z.enum(['', ...failureCodes]).transform((code) => (code === '' ? null : code)),
  }),
  z.object({ type, at: moment, credits: z.coerce.number(), expiresOn: z.string() }),
  z.object({
    type,
    at: moment,
    trouble: z.string(),
    text: z.string().default(''),
    app: z.string().optional(),
  }),
  z.object({ type, at: moment, range: z.string() }),
  z.object({
    type,
    at: moment,
    batch: z.string(),
    app: z.string(),
    name: z.string(),
    end: json(
      z.object({
        status: z.enum(['finished', 'cancelled']),
        lines: z.number(),
        counts: z.record(z.enum(statuses), z.number()),
      }),
    ).optional(),
  }),
  z.object({
    type,
    at: moment,
    app: z.string(),
    period: z.enum(budgetPeriods),
    budget: z.coerce.number(),
    used: z.coerce.number(),
    endsAt: moment,
  }),
  z.object({
    type,
    at: moment,
    app: z.string(),
    country: z.string(),
    sent: z.coerce.number(),
    verified: z.coerce.number(),
  }),
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
    /** The oldest of those that wait, in the streams that can be read. Rejects when none can. */
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
          event: toEvent(eventId(i, entry), fields),
        }));
      });
    },
    /** Deletes events that the webhook queue holds from now on. */
    forget: async (events: readonly StoredEvent[]) => {
      const byStream = groupBy(events, ({ key }) => key);
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
function batchEventId({ type, at, batch }: { type: string; at: number; batch: string }): string {
  return `evt_${at.toString(36).padStart(9, '0')}_${batch}_${type.slice('batch.'.length)}`;
}

function toEvent(id: string, fields: readonly string[]): GatewayEvent | null {
  const pairs = Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i], fields[2 * i + 1]]);
  const { success, data: entry } = entrySchema.safeParse(Object.fromEntries(pairs));
  if (!success) return null;
  return {
    id: 'batch' in entry ? batchEventId(entry) : id,
    type: entry.type,
    at: entry.at,
    about: subjectOf(entry),
  };
}

function subjectOf(entry: z.output<typeof entrySchema>): EventSubject {
  if ('batch' in entry) {
    const { batch, app, name, end } = entry;
    return { id: batchId(batch), app, name: name || null, ...end };
  }
  if ('id' in entry) return { otpId: entry.id, app: entry.app, failure: entry.failure };
  if ('credits' in entry) return { credits: entry.credits, expiresOn: entry.expiresOn || null };
  if ('trouble' in entry) {
    const { trouble, text, app } = entry;
    return { trouble, text: text || null, ...(app !== undefined && { app }) };
  }
  if ('period' in entry) {
    const { app, period, budget, used } = entry;
    return { app, period, budget, used, endsAt: new Date(entry.endsAt).toISOString() };
  }
  if ('country' in entry) {
    const { app, country, sent, verified } = entry;
    return { app, country, sent, verified };
  }
  const [app = '', range = ''] = entry.range.split(' ');
  return { app, range: shownRange(range) };
}

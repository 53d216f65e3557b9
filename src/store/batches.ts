import { z } from 'zod';
import { type OtpRequest, type Status, statuses } from '../otp/otp.js';
import { batchId, batchOfId, newOtpId, partitionOf, partitions, randomText } from '../otp/otp-id.js';
import { createBatchList } from './batch-list.js';
import { type BatchProgress, progressOf } from './batch-progress.js';
import type { Encrypter, KeyedHashes } from './encryption.js';
import { keys } from './keys.js';
import {
  loadListScript,
  loadScript,
  longestLifeMs,
  longestStartMs,
  type Policy,
  type RedisClient,
} from './script.js';
import { activeSchema } from './waiting-lines.js';

/** Lines whose ids are kept in one key. What is reserved at once lies within one. */
export const linesPerChunk = 200;

/** An id without its `otp_`, and eight characters of the line's keyed hash. */
const idWidth = 24;
const fingerprintWidth = 8;
const lineWidth = idWidth + fingerprintWidth;
const noLine = '\0'.repeat(lineWidth);

/** How the lines of a batch are released. Elsewhere `batch` is its key, the id without `batch_`. */
export interface BatchOptions {
  /** For people; shown in Bull Board. */
  name: string | null;
  /** Milliseconds since 1970 from which on lines are released; null: at once. */
  startAt: number | null;
  /** Lines released in a second at most; null: as many as can be sent. */
  perSecond: number | null;
}

/** A batch as its hash has it. Times are ms of Redis's clock. */
export interface BatchFacts extends BatchOptions {
  app: string;
  createdAt: number;
  lines: number;
  paused: boolean;
  /** When the last lines of its upload came. */
  lastLineAt: number;
  uploadEndedAt: number | null;
  /** When its next line may be released, with `perSecond`. */
  paceAt: number | null;
  startedAt: number | null;
  /** Whether `batch.started` was written. */
  startEventWritten: boolean;
  finishedAt: number | null;
  cancelledAt: number | null;
}

/** A batch of OTPs, uploaded together. */
export interface Batch extends BatchFacts, BatchProgress {
  id: string;
  counts: Record<Status, number>;
  /** False while some partitions do not know of the cancellation: cancel again. */
  cancelled: boolean;
}

/** A line to be reserved: its request, and its text, which identifies it on re-upload. */
export interface Line {
  request: OtpRequest;
  text: string;
}

/**
 * The id that a line was given, now or on an earlier upload, and its number's keyed hashes; `reused`: its text was another
 * one then.
 */
export type ReservedLine = { id: string; phones: KeyedHashes } | 'reused';

/** Uploads of many OTPs, each line of which counts once. */
export type Batches = ReturnType<typeof createBatches>;

/** Lifetime of a batch without lines; the first line extends it. */
const newBatchLivesMs = 86_400_000;
const noOptions: BatchOptions = { name: null, startAt: null, perSecond: null };
const given = ([field, value]: [string, unknown]) => [field, String(value)];

interface BatchesOptions {
  redis: RedisClient;
  encrypter: Encrypter;
  policy: Pick<Policy, 'retentionMs' | 'sendLeaseMs' | 'events'>;
}

const text = z.string().nullable();
const cancelReply = z.tuple([z.string(), z.number()]).nullable();
const updateReply = z.union([
  z.tuple([z.enum(['missing', 'ended', 'started', 'too_late'])]),
  z.tuple([z.literal('changed'), z.string(), z.number()]),
]);
const countReply = z.tuple([z.number(), z.number(), z.array(z.string())]);

/** Batches in Redis: their lines in slots of their own, their counts beside the OTPs. */
export function createBatches({ redis, encrypter, policy }: BatchesOptions) {
  const createScript = loadScript(redis, 'batches/batches#create');
  const mergeScript = loadScript(redis, 'batches/batches#merge-lines');
  const cancelScript = loadScript(redis, 'batches/batches#cancel');
  const endUploadScript = loadScript(redis, 'batches/batches#end-upload');
  const updateScript = loadScript(redis, 'batches/batches#update');
  const startedScript = loadScript(redis, 'batches/batches#mark-started');
  const finishedScript = loadScript(redis, 'batches/batches#mark-finished');
  const emitScript = loadScript(redis, 'batches/batches#emit', policy);
  const countScript = loadListScript(redis, 'batches/batches#count');
  const setScript = loadListScript(redis, 'batches/batches#set-in-partition');
  /** `args`: field, value, ms to keep it. Rejects if a master is unavailable; then some partitions may have it. */
  const setInPartitions = async (batch: string, args: [string, string | number, number]) => {
    const answers = await setScript(
      partitions.map((partition) => ({ key: keys.batchCounts(partition, batch), args })),
    );
    for (const answer of answers) if (answer instanceof Error) throw answer;
  };
  const phonesOf = ({ request }: Line) => encrypter.hashes('phone number', request.to.e164);
  const fingerprints = (line: Line) =>
    encrypter.hashes('upload line', line.text).map((hash) => hash.slice(0, fingerprintWidth));
  /** Merges entries into those of a chunk; resolves with the chunk's entries, or null where the batch was cancelled. */
  const merge = async (
    { batch, app, onlyKnown = false }: { batch: string; app: string; onlyKnown?: boolean },
    from: number,
    { entries, lines, livesMs }: { entries: string[]; lines: number; livesMs: number },
  ): Promise<string | null> => {
    const chunk = Math.floor(from / linesPerChunk);
    const line = [from % linesPerChunk, lineWidth, entries.join('')];
    const args = [...line, app, livesMs, from + lines, onlyKnown ? 1 : 0];
    return text.parse(await mergeScript([keys.batchLines(batch, chunk), keys.batch(batch)], args));
  };
  const longestLife = (lines: readonly (Pick<Line, 'request'> | null)[]) =>
    Math.max(...lines.map((line) => (line ? lifeMs(line.request, policy) : policy.retentionMs)));

  const parseBatch = (fields: Record<string, string>): BatchFacts | null => {
    const { app, createdAt, name = null } = fields;
    if (app === undefined) return null;
    const number = (field: string) => (fields[field] === undefined ? null : Number(fields[field]));
    return {
      app,
      name,
      createdAt: Number(createdAt),
      lines: number('lines') ?? 0,
      paused: fields['paused'] === 'true',
      startAt: number('startAt'),
      perSecond: number('perSecond'),
      paceAt: number('paceAt'),
      startedAt: number('startedAt'),
      startEventWritten: fields['startEventWritten'] === '1',
      finishedAt: number('finishedAt'),
      uploadEndedAt: number('uploadEndedAt'),
      cancelledAt: number('cancelledAt'),
      lastLineAt: number('lastLineAt') ?? Number(createdAt),
    };
  };
  const create = async (batch: string, app: string, { name, startAt, perSecond }: BatchOptions) => {
    const fields = Object.entries({ name, startAt, perSecond }).filter(([, value]) => value !== null);
    // Without options, its first accepted line creates it: refused lines leave nothing.
    if (fields.length > 0) {
      const livesMs = newBatchLivesMs + (startAt === null ? 0 : longestStartMs);
      await createScript([keys.batch(batch)], [app, livesMs, ...fields.flatMap(given)]);
    }
    return batch;
  };

  const keyHashes = (app: string, key: string) => encrypter.hashes('batch', `${app}\n${key}`);

  const emit = async (type: string, at: string, fields: Record<string, string>) => {
    await emitScript([keys.events('batches')], [type, 'at', at, ...Object.entries(fields).flat()]);
  };
  /** The batch with its counts; partitions whose master was unavailable may not know of its cancellation. */
  const read = async (batch: string): Promise<Batch | null> => {
    const [fields, active, answers] = await Promise.all([
      redis.hgetall(keys.batch(batch)),
      // Its master may be unavailable.
      redis.hget(keys.activeBatches, batch).catch(() => null),
      countScript(partitions.map((partition) => ({ key: keys.batchCounts(partition, batch), args: [] }))),
    ]);
    const facts = parseBatch(fields);
    if (!facts) return null;
    const counts = Object.fromEntries(statuses.map((status) => [status, 0])) as Batch['counts'];
    let [waiting, now, cancelled] = [0, 0, true];
    for (const answer of answers) {
      if (answer instanceof Error) throw answer;
      const [lines, at, pairs] = countReply.parse(answer);
      now = at;
      const values = new Map(pairs.flatMap((name, i) => (i % 2 === 0 ? [[name, pairs[i + 1]]] : [])));
      const isCancelled = values.has('cancelledAt');
      for (const status of statuses) {
        // Waiting lines are cancelled already; their records are written when they are taken.
        const countedAs = isCancelled && status === 'queued' ? 'cancelled' : status;
        counts[countedAs] += Number(values.get(status) ?? 0);
      }
      // Lines that ended stay in the list until they are taken.
      if (!isCancelled) waiting += Math.min(lines, Number(values.get('queued') ?? 0));
      cancelled &&= isCancelled;
    }
    const noted = activeSchema.safeParse(JSON.parse(active ?? 'null')).data?.waitsFor ?? null;
    const progress = progressOf(facts, { counts, waiting, noted, at: now });
    return { ...facts, ...progress, id: batchId(batch), counts, cancelled };
  };

  return {
    /**
     * A new batch, or the one that this key of the app stands for, which keeps its options; null when that was cancelled.
     */
    open: async (app: string, key: string | null, options: BatchOptions = noOptions) => {
      if (key === null) return await create(randomText(), app, options);
      const hashes = keyHashes(app, key);
      const fields = await Promise.all(
        hashes.map((hash) => redis.hmget(keys.batch(hash), 'app', 'cancelledAt')),
      );
      const known = fields.findIndex(([owner]) => typeof owner === 'string');
      if (typeof fields[known]?.[1] === 'string') return null;
      return await create(hashes[known] ?? hashes[0], app, options);
    },
    /** Whether this key of the app stands for a batch that has OTPs. */
    hasOtps: async (app: string, key: string) => {
      const listed = keyHashes(app, key).map((batch) => redis.zscore(keys.batchesOfApp(app), batch));
      return (await Promise.all(listed)).some((place) => place !== null);
    },
    /** Writes start and cancellation to all partitions again: a process or master may have failed when they changed. */
    repeatInPartitions: async (
      batch: string,
      { startAt, cancelledAt }: Pick<BatchFacts, 'startAt' | 'cancelledAt'>,
    ) => {
      const livesMs = await redis.pttl(keys.batch(batch));
      if (startAt !== null) await setInPartitions(batch, ['startAt', startAt, livesMs]);
      if (cancelledAt !== null) await setInPartitions(batch, ['cancelledAt', cancelledAt, livesMs]);
    },
    /** The batch without its counts; null: it is no longer kept. */
    facts: async (batch: string) => parseBatch(await redis.hgetall(keys.batch(batch))),
    /** Notes when its next line may be released. */
    setPaceAt: async (batch: string, paceAt: number) => {
      await redis.hset(keys.batch(batch), 'paceAt', paceAt);
    },
    /**
     * Reserves ids for lines `from`, `from` + 1, … (null: a line that needs none), all within one chunk, of an upload
     * that may be repeated. Null when the batch was cancelled. With `onlyKnown`, nothing is written: lines without an id
     * stay null.
     */
    reserve: async (
      upload: { batch: string; app: string; onlyKnown?: boolean },
      from: number,
      lines: readonly (Line | null)[],
    ) => {
      const needed = upToLast(lines);
      if (needed.length === 0) return lines.map(() => null);
      const phones = needed.map((line) => (line ? phonesOf(line) : ([''] as const)));
      const proposed = needed.map((line, i) => {
        if (!line) return noLine;
        return newOtpId(partitionOf(phones[i]?.[0] ?? '')).slice(4) + fingerprints(line)[0];
      });
      const merged = await merge(upload, from, {
        entries: proposed,
        lines: lines.length,
        livesMs: longestLife(needed),
      });
      if (merged === null) return null;
      return lines.map((line, i) => {
        if (!line) return null;
        const entry = merged.slice(i * lineWidth, (i + 1) * lineWidth);
        if (upload.onlyKnown && (entry === '' || entry.startsWith('\0'))) return null;
        if (entry !== proposed[i] && !fingerprints(line).includes(entry.slice(idWidth))) return 'reused';
        return { id: `otp_${entry.slice(0, idWidth)}`, phones: phones[i] ?? [''] };
      });
    },
    /** Ids for lines of an upload that cannot come again. Nothing is written. */
    newIds: (lines: readonly (Line | null)[]) =>
      lines.map((line) => {
        if (!line) return null;
        const phones = phonesOf(line);
        return { id: newOtpId(partitionOf(phones[0])), phones };
      }),
    /** Saves ids of accepted lines (null: another line), as `reserve` does before. False when the batch was cancelled. */
    saveLineIds: async (
      upload: { batch: string; app: string },
      from: number,
      lines: readonly ({ request: OtpRequest; id: string } | null)[],
    ) => {
      const needed = upToLast(lines);
      const entries = needed.map((line) => line?.id.slice(4).padEnd(lineWidth) ?? noLine);
      const livesMs = longestLife(needed);
      return (await merge(upload, from, { entries, lines: lines.length, livesMs })) !== null;
    },
    /** Notes that an upload of the batch ended: no further lines come. */
    endUpload: async (batch: string) => {
      await endUploadScript([keys.batch(batch)], []);
    },
    /**
     * Updates a batch of this app; null deletes a value. A past start means now. `ended`: finished or cancelled;
     * `started`, `too_late` (a week after its upload): the start cannot change.
     */
    update: async (
      app: string,
      id: string,
      options: {
        paused?: boolean | undefined;
        perSecond?: number | null | undefined;
        startAt?: number | undefined;
      },
    ) => {
      const { startAt, ...fields } = options;
      const batch = batchOfId(id);
      if (batch === null) return 'missing';
      const set = Object.entries(fields).filter(([, value]) => value !== undefined);
      const pairs = set.flatMap(([field, value]) => [field, value === null ? '' : String(value)]);
      const [result, start, keptMs] = updateReply.parse(
        await updateScript([keys.batch(batch)], [app, startAt ?? '', ...pairs]),
      );
      if (result === 'changed' && start !== '') await setInPartitions(batch, ['startAt', start, keptMs]);
      return result;
    },
    /** Marks the batch as started and writes `batch.started` once; false before its start, or if it was cancelled. */
    markStarted: async (batch: string) => {
      const at = text.parse(await startedScript([keys.batch(batch)], []));
      if (at === null) return false;
      const fields = await redis.hgetall(keys.batch(batch));
      if (fields['app'] === undefined || fields['startEventWritten'] === '1') return true;
      await emit('batch.started', at, { batch, app: fields['app'], name: fields['name'] ?? '' });
      await redis.hset(keys.batch(batch), 'startEventWritten', '1');
      return true;
    },
    /** Marks the batch as finished and writes `batch.finished`, with the same event id each time. */
    markFinished: async (batch: string) => {
      const at = z.string().parse(await finishedScript([keys.batch(batch)], []));
      const found = await read(batch);
      if (!found) return;
      const { app, name, cancelledAt, lines, counts } = found;
      const end = { status: cancelledAt === null ? 'finished' : 'cancelled', lines, counts };
      await emit('batch.finished', at, { batch, app, name: name ?? '', end: JSON.stringify(end) });
    },
    ...createBatchList({ redis, policy }),
    /** Null when there is none of this app under that id. */
    find: async (app: string, id: string) => {
      const batch = batchOfId(id);
      const found = batch === null ? null : await read(batch);
      return found?.app === app ? found : null;
    },
    /** The OTP ids of `count` lines from `from` on; null for those that have none. */
    lineIds: async (id: string, from: number, count: number) => {
      const batch = batchOfId(id) ?? '';
      const lines = Array.from({ length: count }, (_, i) => from + i);
      const chunks = Map.groupBy(lines, (line) => String(Math.floor(line / linesPerChunk)));
      const parts = [...chunks].map(async ([chunk, ofChunk]) => {
        const start = ((ofChunk[0] ?? 0) % linesPerChunk) * lineWidth;
        const end = start + ofChunk.length * lineWidth - 1;
        const entries = await redis.getrange(keys.batchLines(batch, Number(chunk)), start, end);
        return ofChunk.map((_, i) => entries.slice(i * lineWidth, i * lineWidth + idWidth));
      });
      const entries = (await Promise.all(parts)).flat();
      return entries.map((entry) => (entry === '' || entry.startsWith('\0') ? null : `otp_${entry}`));
    },
    /** Cancels its unsent OTPs for good; false when there is no such batch of this app. */
    cancel: async (app: string, id: string) => {
      const batch = batchOfId(id);
      if (batch === null || (await redis.hget(keys.batch(batch), 'app')) !== app) return false;
      const reply = cancelReply.parse(await cancelScript([keys.batch(batch)], []));
      if (!reply) return false;
      await setInPartitions(batch, ['cancelledAt', ...reply]);
      return true;
    },
  };
}

/** Lines up to the last one that needs an id: nothing is kept for those after it. */
function upToLast<T>(lines: readonly (T | null)[]): readonly (T | null)[] {
  return lines.slice(0, lines.findLastIndex((line) => line !== null) + 1);
}

function lifeMs({ sendDeadlineSeconds, ttlSeconds }: OtpRequest, policy: BatchesOptions['policy']): number {
  return longestLifeMs({ sendDeadlineMs: sendDeadlineSeconds * 1_000, ttlMs: ttlSeconds * 1_000 }, policy);
}

import { z } from 'zod';
import { hourMs } from '../lib/time.js';
import type { Otp, Status } from '../otp/otp.js';
import { batchId, batchOfId } from '../otp/otp-id.js';
import type { AdmissionRequest } from './admission.js';
import type { Batches } from './batches.js';
import { keys } from './keys.js';
import { openRecord } from './record.js';
import {
  loadRecordScript,
  loadScript,
  longestListedMs,
  type RecordScriptOptions,
  type RedisClient,
} from './script.js';

/** On a cluster, clocks of masters differ: an OTP may be listed among those of this much later. */
const lateMs = 60_000;

/** A list of an hour since 1970, how many of its first entries are unread, and how many first lines of the next one. */
export interface ListPosition {
  hour: number;
  before: number;
  within?: number;
}

/** Where reading goes on: in the list of an app, or before this line of a batch. */
export type Position = ListPosition | { line: number };

/** An OTP by its id, or lines of a batch. */
type ListEntry = { id: string } | { batch: string; from: number; count: number };

/** The next id of a list, null for a line that has none, and where reading goes on after it. */
interface ListedId {
  id: string | null;
  position: Position;
}

/** Which OTPs of an app are found; times are ms since 1970, `until` exclusive. */
export interface OtpFilter {
  status?: Status | undefined;
  purpose?: string | undefined;
  /** The id of a batch: its lines, last ones first. */
  batch?: string | undefined;
  since?: number | undefined;
  until?: number | undefined;
}

const readReply = z.tuple([z.number(), z.number(), z.array(z.string())]).nullable();
const findReply = z.tuple([z.string(), z.string().optional()]).or(z.tuple([]));

/** What is read of a list at a time. */
export interface Reading {
  /** Null: from the newest on. */
  after: Position | null;
  most: number;
  /** Called with the error of an OTP that cannot be read: returns null to skip it. */
  onUnreadable(error: unknown): null;
}

/** Reads the OTPs of one app in the order of its lists. */
export function createOtpList(
  options: RecordScriptOptions & { batches: Pick<Batches, 'facts' | 'lineIds'> },
) {
  const { redis, encrypter, policy, batches } = options;
  const readScript = loadScript(redis, 'otp/list#read');
  const findScript = loadRecordScript(options, 'otp/otps#find');
  const listedMs = longestListedMs(policy);
  const readEntries = async (
    app: string,
    { since = 0, until }: OtpFilter,
    { after, most }: { after: ListPosition | null; most: number },
  ) => {
    const last = until === undefined ? null : hourOf(until - 1);
    const isWithin = after !== null && (last === null || after.hour <= last);
    const read = async (...from: (number | '')[]) =>
      readReply.parse(await readScript([keys.otpsOfApp(app)], [...from, since, listedMs, most]));
    let reply = isWithin
      ? await read(after.hour, after.before + (after.within === undefined ? 0 : 1))
      : await read(last ?? '', '');
    while (reply?.[2].length === 0) reply = await read(reply[0], '');
    const [found, start, texts] = reply ?? [0, 0, []];
    const entries = texts.map((text, i) => {
      const position = { hour: found, before: start + i };
      const entry = entryOf(text);
      const isBegun = position.hour === after?.hour && position.before === after.before;
      if (isBegun && 'count' in entry) entry.count = Math.min(after.within ?? entry.count, entry.count);
      return { position, entry };
    });
    return entries.reverse();
  };
  const readIds = async (
    app: string,
    filter: OtpFilter,
    reading: { after: ListPosition | null; most: number },
  ): Promise<ListedId[]> => {
    const ids: ListedId[] = [];
    for (const { entry, position } of await readEntries(app, filter, reading)) {
      const left = reading.most - ids.length;
      if (left === 0) break;
      if ('id' in entry) {
        ids.push({ id: entry.id, position });
        continue;
      }
      const from = Math.max(0, entry.count - left);
      const lines = await batches.lineIds(batchId(entry.batch), entry.from + from, entry.count - from);
      const before = (line: number) => (line === 0 ? position : { ...position, within: line });
      ids.push(...lines.map((id, i) => ({ id, position: before(from + i) })).reverse());
    }
    return ids;
  };
  const readLines = async (batch: string, after: number, most: number): Promise<ListedId[]> => {
    const { lines = 0 } = (await batches.facts(batchOfId(batch) ?? '')) ?? {};
    const end = Math.min(lines, after);
    const from = Math.max(0, end - most);
    const ids = await batches.lineIds(batch, from, end - from);
    return ids.map((id, i) => ({ id, position: { line: from + i } })).reverse();
  };
  const findIf = async (
    app: string,
    id: string,
    { status, purpose, since = 0, until = Number.MAX_SAFE_INTEGER }: OtpFilter,
  ) => {
    const args = [app, status ?? '', purpose ?? '', since, until];
    const [createdAt, raw] = findReply.parse(await findScript(keys.recordOfId(id), args));
    return { createdAt: Number(createdAt), otp: raw === undefined ? null : openRecord(encrypter, raw) };
  };
  return {
    /**
     * Reads the next OTPs, newest first, and those that pass the filter, each with the position after it. `next`: the
     * position after the last one that was read; null at the end.
     */
    readNext: async (app: string, filter: OtpFilter, { after, most, onUnreadable }: Reading) => {
      const { batch, since = 0 } = filter;
      const ids =
        batch === undefined
          ? await readIds(app, filter, { after: after && 'hour' in after ? after : null, most })
          : await readLines(batch, after && 'line' in after ? after.line : Number.POSITIVE_INFINITY, most);
      const found = await Promise.all(
        ids.map(({ id }) => (id === null ? null : findIf(app, id, filter).catch(onUnreadable))),
      );
      const otps = ids.flatMap(({ position }, i) => {
        const otp = found[i]?.otp;
        return otp && isOfHour(otp, position) ? [{ otp, position }] : [];
      });
      const isOver = batch === undefined && found.some((one) => one && one.createdAt < since - lateMs);
      return { otps, read: ids.length, next: isOver ? null : (ids.at(-1)?.position ?? null) };
    },
  };
}

/** One that was accepted again under its id, after Redis lost it, stands in two lists. */
function isOfHour({ createdAt }: Otp, position: Position): boolean {
  return !('hour' in position) || position.hour === hourOf(createdAt);
}

/** Whether an OTP passes a filter, of a batch aside. */
export function passes(
  otp: Otp,
  { status, purpose, since = 0, until = Number.POSITIVE_INFINITY }: OtpFilter,
): boolean {
  if (status !== undefined && otp.status !== status) return false;
  if (purpose !== undefined && otp.purpose !== purpose) return false;
  return otp.createdAt >= since && otp.createdAt < until;
}

interface Admitted {
  otp: Otp;
  reserved: AdmissionRequest['reserved'];
  livesMs: number;
}

/** Adds new OTPs to the lists of their apps on a cluster, where these are in other slots. */
export function createListAppender(redis: RedisClient) {
  const append = loadScript(redis, 'otp/list#append');
  return (admitted: readonly Admitted[]): void => {
    const lists = Map.groupBy(admitted, ({ otp }) => `${hourOf(otp.createdAt)} ${otp.app}`);
    for (const ofList of lists.values()) {
      const [first] = ofList;
      if (!first) continue;
      const livesMs = Math.max(...ofList.map((one) => one.livesMs));
      const otps = ofList.map(({ otp, reserved: { batch, line } = {} }) =>
        line === undefined ? otp.id.slice('otp_'.length) : { batch, line },
      );
      // Not awaited: while the master of the app's list is unavailable, its OTPs are still accepted.
      const args = [first.otp.createdAt, livesMs, JSON.stringify(otps)];
      append([keys.otpsOfApp(first.otp.app)], args).catch(() => {});
    }
  };
}

function entryOf(text: string): ListEntry {
  const [batch = '', from, count] = text.split(' ');
  return count === undefined ? { id: `otp_${text}` } : { batch, from: Number(from), count: Number(count) };
}

function hourOf(ms: number): number {
  return Math.floor(ms / hourMs);
}

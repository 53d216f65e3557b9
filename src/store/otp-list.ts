import { z } from 'zod';
import type { Otp, Status } from '../otp/otp.js';
import type { AdmissionRequest } from './admission.js';
import { keys } from './keys.js';
import { openRecord } from './record.js';
import {
  loadRecordScript,
  loadScript,
  longestLifeMs,
  longestStartMs,
  type RecordScriptOptions,
  type RedisClient,
} from './script.js';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const longestTtlMs = 600_000;

/**
 * A place in an app's list: the list of an hour since 1970, and how many of its first entries come after it; then
 * `within` of the first lines of the entry after those.
 */
export interface ListPlace {
  hour: number;
  before: number;
  within?: number;
}

/** An OTP by its id, or lines of a batch. */
type ListEntry = { id: string } | { batch: string; from: number; count: number };

/** Which OTPs of an app are found; times are ms since 1970, `until` exclusive. */
export interface OtpFilter {
  status?: Status | undefined;
  purpose?: string | undefined;
  since?: number | undefined;
  until?: number | undefined;
}

const readReply = z.tuple([z.number(), z.number(), z.array(z.string())]).nullable();
const findReply = z.tuple([z.string(), z.string().optional()]).or(z.tuple([]));

/** Lists and filters the OTPs of one app. */
export function createOtpList(options: RecordScriptOptions) {
  const { redis, encrypter, policy } = options;
  const readScript = loadScript(redis, 'otp/list#read');
  const findScript = loadRecordScript(options, 'otp/otps#find');
  const listedMs = longestStartMs + longestLifeMs({ sendDeadlineMs: dayMs, ttlMs: longestTtlMs }, policy);
  return {
    /** Entries of an app's list before a place (null: the newest), newest first, each with its place; null at the end. */
    listed: async (
      app: string,
      after: ListPlace | null,
      { since = 0, until, most }: OtpFilter & { most: number },
    ) => {
      const last = until === undefined ? null : hourOf(until - 1);
      const isWithin = after !== null && (last === null || after.hour <= last);
      const [hour, before] = isWithin
        ? [after.hour, after.before + (after.within === undefined ? 0 : 1)]
        : [last ?? '', ''];
      const reply = readReply.parse(
        await readScript([keys.otpsOfApp(app)], [hour, before, since, listedMs, most]),
      );
      if (!reply) return null;
      const [found, start, texts] = reply;
      const entries = texts.map((text, i) => ({
        place: { hour: found, before: start + i },
        entry: entryOf(text),
      }));
      return entries.reverse().map(({ place, entry }) => {
        const { within } = after ?? {};
        const isBegun = place.hour === after?.hour && place.before === after.before;
        return {
          place,
          entry:
            isBegun && within !== undefined && 'count' in entry
              ? { ...entry, count: Math.min(within, entry.count) }
              : entry,
        };
      });
    },
    /**
     * The OTP if it is the app's and passes the filter; else null. `createdAt`: also of an OTP of the app that does not
     * pass; null if there is none.
     */
    findIf: async (
      app: string,
      id: string,
      { status, purpose, since = 0, until = Number.MAX_SAFE_INTEGER }: OtpFilter,
    ): Promise<{ createdAt: number | null; otp: Otp | null }> => {
      const args = [app, status ?? '', purpose ?? '', since, until];
      const [createdAt, raw] = findReply.parse(await findScript(keys.recordOfId(id), args));
      return {
        createdAt: createdAt === undefined ? null : Number(createdAt),
        otp: raw === undefined ? null : openRecord(encrypter, raw),
      };
    },
  };
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
      // Not awaited: while the master of the app's list is unavailable, its OTPs are still accepted.
      const args = [first.otp.createdAt, livesMs, ...entriesOf(ofList)];
      append([keys.otpsOfApp(first.otp.app)], args).catch(() => {});
    }
  };
}

/** The same as `note_listed` in `lua/otp/admit.lua`. */
function entriesOf(admitted: readonly Admitted[]): string[] {
  const entries: ListEntry[] = [];
  for (const { otp, reserved: { batch, line } = {} } of admitted) {
    const last = entries.at(-1);
    if (batch === undefined || line === undefined) entries.push({ id: otp.id });
    else if (last && 'count' in last && last.batch === batch && last.from + last.count === line)
      last.count += 1;
    else entries.push({ batch, from: line, count: 1 });
  }
  return entries.map((entry) =>
    'id' in entry ? entry.id.slice('otp_'.length) : `${entry.batch} ${entry.from} ${entry.count}`,
  );
}

function entryOf(text: string): ListEntry {
  const [batch = '', from, count] = text.split(' ');
  return count === undefined ? { id: `otp_${text}` } : { batch, from: Number(from), count: Number(count) };
}

function hourOf(ms: number): number {
  return Math.floor(ms / hourMs);
}

import { z } from 'zod';
import type { Otp, Status } from '../otp/otp.js';
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

/** A place in an app's list: the list of an hour since 1970, and how many of its first OTPs come after it. */
export interface ListPlace {
  hour: number;
  before: number;
}

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
    /** Ids of an app's OTPs before a place (null: the newest), newest first, and the place after them; null at the end. */
    listed: async (
      app: string,
      after: ListPlace | null,
      { since = 0, until, most }: OtpFilter & { most: number },
    ) => {
      const last = until === undefined ? null : hourOf(until - 1);
      const isWithin = after !== null && (last === null || after.hour <= last);
      const [hour, before] = isWithin ? [after.hour, after.before] : [last ?? '', ''];
      const reply = readReply.parse(
        await readScript([keys.otpsOfApp(app)], [hour, before, since, listedMs, most]),
      );
      if (!reply) return null;
      const [found, start, lines] = reply;
      const ids = lines.toReversed().map((line) => `otp_${line}`);
      return { ids, next: { hour: found, before: start } };
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

/** Adds new OTPs to the lists of their apps on a cluster, where these are in other slots. */
export function createListAppender(redis: RedisClient) {
  const append = loadScript(redis, 'otp/list#append');
  return (admitted: readonly { otp: Otp; livesMs: number }[]): void => {
    const lists = Map.groupBy(admitted, ({ otp }) => `${hourOf(otp.createdAt)} ${otp.app}`);
    for (const ofList of lists.values()) {
      const [first] = ofList;
      if (!first) continue;
      const livesMs = Math.max(...ofList.map((one) => one.livesMs));
      const lines = ofList.map(({ otp }) => otp.id.slice('otp_'.length));
      // Not awaited: while the master of the app's list is unavailable, OTPs of others are still accepted.
      append([keys.otpsOfApp(first.otp.app)], [first.otp.createdAt, livesMs, ...lines]).catch(() => {});
    }
  };
}

function hourOf(ms: number): number {
  return Math.floor(ms / hourMs);
}

import { z } from 'zod';
import type { Otp } from '../otp/otp.js';
import { partitionOf } from '../otp/otp-id.js';
import type { PhoneNumber } from '../otp/phone-number.js';
import { keys } from './keys.js';
import { recordSchema, toOtp } from './record.js';
import { loadRecordScript, loadScript, masterOf, type RecordScriptOptions, tryOr } from './script.js';

const lookedAtATime = 1_000;
const ofRecord = recordSchema.extend({ phone: z.string() });

/** A broken record must not hide the others; the sweeper names it. */
const readable = (raw: string) => tryOr(() => ofRecord.parse(JSON.parse(raw)), null);

/** What is kept about the person behind a phone number, by its keyed hashes under every encryption key. */
export function createDataSubjects(options: RecordScriptOptions) {
  const { redis, encrypter } = options;
  const eraseScript = loadRecordScript(options, 'otp/otps#erase');
  const forgetRefusals = loadScript(redis, 'sending/app-calls#forget-refusals');
  const hashesOf = (to: PhoneNumber) => encrypter.hashes('phone number', to.e164);

  async function* recordsIn(partition: string) {
    // A cluster knows its masters once it has answered something.
    await redis.exists(keys.due(partition));
    const master = masterOf(redis, keys.due(partition));
    let cursor = '0';
    do {
      const pattern = keys.record(partition, 'otp_*');
      const [next, found] = await master.scan(cursor, 'MATCH', pattern, 'COUNT', lookedAtATime);
      cursor = next;
      for (const raw of found.length === 0 ? [] : await redis.mget(...found)) {
        const record = raw === null ? null : readable(raw);
        if (record) yield record;
      }
    } while (cursor !== '0');
  }

  return {
    /** Every OTP that is kept, of all apps. Looks through a whole master: for a command, not for a request. */
    find: async (to: PhoneNumber) => {
      const hashes: readonly string[] = hashesOf(to);
      const found = new Map<string, Otp>();
      for (const partition of new Set(hashes.map(partitionOf))) {
        for await (const record of recordsIn(partition)) {
          if (hashes.includes(record.phone)) found.set(record.id, toOtp(encrypter, record));
        }
      }
      return [...found.values()].sort((a, b) => a.createdAt - b.createdAt);
    },
    /**
     * Erases these OTPs, the number's limits and wrong codes, and its references. Calls in flight cannot write the record
     * again.
     */
    erase: async (to: PhoneNumber, otps: readonly Otp[]) => {
      for (const { id, app, reference } of otps) {
        await eraseScript(keys.recordOfId(id), []);
        if (reference === null) continue;
        const indexes = encrypter.hashes('reference', `${app}\n${reference}`).map(keys.reference);
        await Promise.all(indexes.map((index) => redis.zrem(index, id)));
      }
      await forgetRefusals([keys.appCalls], [...hashesOf(to)]);
      for (const hash of hashesOf(to)) {
        await redis.del(keys.phone(hash), keys.superseded(partitionOf(hash), hash));
      }
    },
  };
}

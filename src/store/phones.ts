import { z } from 'zod';
import { partitionOf } from '../otp/otp-id.js';
import type { PhoneNumber } from '../otp/phone-number.js';
import { keys } from './keys.js';
import { loadPlainScript, type RedisClient } from './script.js';
import type { Sealer } from './sealing.js';

/** What is kept about phone numbers beside their OTPs (`lua/phone.lua`). */
export interface Phones {
  /**
   * Forgets the limits and the wrong codes of one app and number, so that it can be sent to and verified again at
   * once. False when nothing was known of it.
   */
  unlock(app: string, to: PhoneNumber): Promise<boolean>;
  /** The ids of the newest OTPs to a number in the last day, of all apps: for the operator's eyes. */
  recentIds(to: PhoneNumber): Promise<string[]>;
}

/** Finds a number by its hash under every data key. */
export function createPhones({ redis, sealer }: { redis: RedisClient; sealer: Sealer }): Phones {
  const unlock = loadPlainScript(redis, 'unlock');
  const readIds = loadPlainScript(redis, 'read-phone');
  const keysOf = (to: PhoneNumber) =>
    sealer.hashes('phone number', to.e164).map((hash) => keys.phone(partitionOf(hash), hash));
  return {
    unlock: async (app, to) => {
      const known = await Promise.all(keysOf(to).map((key) => unlock([key], [app])));
      return known.includes(1);
    },
    recentIds: async (to) => {
      const found = await Promise.all(keysOf(to).map((key) => readIds([key], [])));
      return z.array(z.array(z.string())).parse(found).flat();
    },
  };
}

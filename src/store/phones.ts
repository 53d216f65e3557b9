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
}

/** Finds a number by its hash under every data key. */
export function createPhones({ redis, sealer }: { redis: RedisClient; sealer: Sealer }): Phones {
  const unlock = loadPlainScript(redis, 'unlock');
  return {
    unlock: async (app, to) => {
      const hashes = sealer.hashes('phone number', to.e164);
      const known = await Promise.all(
        hashes.map((hash) => unlock([keys.phone(partitionOf(hash), hash)], [app])),
      );
      return known.includes(1);
    },
  };
}

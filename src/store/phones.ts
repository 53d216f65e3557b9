import { z } from 'zod';
import { idOfHex, partitionOf } from '../otp/otp-id.js';
import type { PhoneNumber } from '../otp/phone-number.js';
import { keys } from './keys.js';
import { loadScript, type StoreContext } from './script.js';

/** What one app's limits and locks know of a phone number. Times are ms of Redis's clock. */
const knownReply = z.array(
  z
    .tuple([z.string(), z.array(z.number()), z.number(), z.number(), z.array(z.string())])
    .transform(([app, admittedAt, wrongCodes, verifiedAt, otpIds]) => ({
      app,
      /** When its newest OTPs were admitted: as many as the limits look at. */
      admittedAt,
      /** In a row. */
      wrongCodes,
      /** Null when no code was right lately. */
      verifiedAt: verifiedAt === 0 ? null : verifiedAt,
      /** Of its newest OTPs. */
      otpIds,
    })),
);

/** What is kept about phone numbers, by hash, beside their OTPs (`lua/verification/phone.lua`). */
export function createPhones({ redis, encrypter, policy }: StoreContext) {
  const unlock = loadScript(redis, 'verification/phone#unlock', policy);
  const read = loadScript(redis, 'verification/phone#read', policy);
  const keysOf = (to: PhoneNumber) => encrypter.hashes('phone number', to.e164).map(keys.phone);
  /** The current encryption key's first. */
  const underEachKey = async (to: PhoneNumber) => {
    const found = await Promise.all(keysOf(to).map((key) => read([key], [])));
    return found.flatMap((reply) => knownReply.parse(reply));
  };
  return {
    /** What is known of a number, by app: for the operator's eyes. */
    known: async (to: PhoneNumber) => {
      const all = await underEachKey(to);
      // What an older encryption key knows was carried over, where the current one knows anything.
      return all.filter(({ app }, i) => all.findIndex((other) => other.app === app) === i);
    },
    /** The ids that an OTP to this number can have whose random bits are these: one under each encryption key. */
    idsOf: (to: PhoneNumber, hex: string) =>
      encrypter.hashes('phone number', to.e164).map((hash) => idOfHex(partitionOf(hash), hex)),
    /** The ids of an app's newest OTPs to a number, at most ten under each encryption key, in no order. */
    idsOfApp: async (app: string, to: PhoneNumber) => {
      // Processes with another encryption key in front count there.
      const ids = (await underEachKey(to)).flatMap((one) => (one.app === app ? one.otpIds : []));
      return [...new Set(ids)];
    },
    /**
     * Forgets the limits and the wrong codes of one app and number, so that it can be sent to and verified again at
     * once. False when nothing was known of it.
     */
    unlock: async (app: string, to: PhoneNumber) => {
      const known = await Promise.all(keysOf(to).map((key) => unlock([key], [app])));
      return known.includes(1);
    },
  };
}

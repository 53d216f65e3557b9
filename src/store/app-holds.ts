import { z } from 'zod';
import type { PhoneNumber } from '../otp/phone-number.js';
import { keys } from './keys.js';
import { json, loadScript, type RedisClient, type StoreContext } from './script.js';
import type { EarlierRefusal } from './send-attempts.js';

/** Different numbers of an app, refused in a row, that put it on hold: one bad number in ten never gets there. */
const refusalsThatHold = 10;

const holdSchema = z.object({
  app: z.string(),
  /** Milliseconds since 1970. */
  since: z.number(),
  /** What the provider said, safe to show; empty when it gave no words. */
  text: z.string(),
  tryInMs: z.number(),
});

/** An app with unrecognised refusals: one of its OTPs at a time is tried until one is accepted. */
export type AppHold = z.infer<typeof holdSchema>;

/** A call with an unrecognised refusal. */
export interface RefusedCall {
  to: PhoneNumber;
  /** Milliseconds of Redis's clock. */
  claimedAt: number;
}

/** The holds of apps for unrecognised refusals, shared by all workers. */
export type AppHolds = ReturnType<typeof createAppHolds>;

const holdsReply = z.array(json(holdSchema));
const notedReply = z.tuple([z.number(), z.number()]);
/**
 * What follows from an unrecognised refusal for its OTP. `final`: it ends. `again`: it may be sent again, its app was on
 * hold. `held`: not known yet.
 */
const refusalClass = z.enum(['final', 'again', 'held']);

/** Reads the holds. */
export function loadHolds(redis: RedisClient): () => Promise<AppHold[]> {
  const read = loadScript(redis, 'sending/app-calls#read-holds');
  return async () => holdsReply.parse(await read([keys.appCalls], []));
}

export function createAppHolds({ redis, encrypter, policy }: StoreContext) {
  const load = (name: string) => loadScript(redis, `sending/app-calls#${name}`, policy);
  const noteAccepted = load('note-accepted');
  const noteRefusal = load('note-refusals');
  const takeTrial = load('take-trial');
  const returnTrial = load('return-trial');
  const classifyRefusal = load('classify-refusal');
  const scriptKeys = [keys.appCalls, keys.events('sending')];
  return {
    read: loadHolds(redis),
    /** Notes the newest claim among each app's accepted calls; answers the apps whose hold that ended. */
    noteAccepted: async (newest: ReadonlyMap<string, number>) =>
      z.array(z.string()).parse(await noteAccepted(scriptKeys, [refusalsThatHold, ...[...newest].flat()])),
    /** Notes calls that were refused in a row, where no other call of the app was accepted meanwhile. */
    noteRefusals: async (call: { app: string; text: string; refusals: readonly RefusedCall[] }) => {
      const { app, text, refusals } = call;
      const numbers = refusals.flatMap(({ to, claimedAt }) => [
        claimedAt,
        encrypter.hashes('phone number', to.e164)[0],
      ]);
      const args = [app, text, refusalsThatHold, ...numbers];
      const [began, onHold] = notedReply.parse(await noteRefusal(scriptKeys, args));
      return { began: began === 1, onHold: onHold === 1 };
    },
    /** 0 where the caller is to try one OTP of the app; the ms until the next try; null without a hold. */
    takeTrial: async (app: string) => {
      const waitMs = z.number().parse(await takeTrial([keys.appCalls], [app]));
      return waitMs < 0 ? null : waitMs;
    },
    /** Gives back a trial with which no call was made: the next OTP may be tried at once. */
    returnTrial: async (app: string) => {
      await returnTrial([keys.appCalls], [app]);
    },
    classifyRefusal: async (app: string, { claimedAt, firstAt }: EarlierRefusal) =>
      refusalClass.parse(await classifyRefusal([keys.appCalls], [app, claimedAt, firstAt])),
  };
}

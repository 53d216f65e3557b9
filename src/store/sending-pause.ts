import { z } from 'zod';
import { type AccountTrouble, accountTroubles } from '../otp/outcome.js';
import type { PhoneNumber } from '../otp/phone-number.js';
import { keys } from './keys.js';
import { createPauseReader } from './pause-reader.js';
import { loadScript, type Policy, plainSource, type RedisClient } from './script.js';
import type { Sealer } from './sealing.js';

/** Different numbers, refused in a row in unknown words, that pause sending: one bad number in ten never gets there. */
const refusalsThatPause = 10;

/** Why sending is paused, and since when (ms of Redis's clock). */
export interface Pause {
  trouble: AccountTrouble;
  since: number;
  /** What the provider said, safe to show; empty when it gave no words. */
  text: string;
  /** Whether OTPs are sent one at a time, to find out whether the trouble is over. */
  trying: boolean;
  /** Milliseconds until OTPs may be tried. */
  tryInMs: number;
}

/** A call that was refused in unknown words. */
export interface RefusedCall {
  to: PhoneNumber;
  /** Milliseconds of Redis's clock. */
  claimedAt: number;
}

/**
 * What follows for an OTP that was refused in unknown words. `final`: it ends, others are accepted. `again`: it may be
 * sent again, the account was in trouble. `held`: not known yet.
 */
export type RefusalVerdict = 'final' | 'again' | 'held';

/** The pause for account trouble, shared by all workers. An operator's pause of the queue is BullMQ's own. */
export interface SendingPause {
  read(): Promise<Pause | null>;
  /** Why nothing is sent now, an operator's pause of a queue included; what cannot be read is as it was last. */
  reason(): Promise<AccountTrouble | 'operator' | null>;
  /** True when this report began the pause; trouble of claims older than the last resume is ignored. */
  report(report: { trouble: AccountTrouble; claimedAt: number }): Promise<boolean>;
  /** True when OTPs may be tried one at a time from now on; false where it is too early, or others began already. */
  startTrying(): Promise<boolean>;
  /** True when this call ended the pause. */
  resume(): Promise<boolean>;
  /** Notes the newest claim among calls that were accepted; true when that ended the pause. */
  noteAccepted(claimedAt: number): Promise<boolean>;
  /**
   * Notes a call that was refused in unknown words, and the calls of a process that were refused in a row, if it knows
   * that no other call of it was accepted. `began`: this paused sending.
   */
  noteRefusal(refusal: {
    claimedAt: number;
    text: string;
    inARow: readonly RefusedCall[];
  }): Promise<{ kind: 'held' | 'again' | 'paused'; began: boolean }>;
  judgeRefusal(claimedAt: number): Promise<RefusalVerdict>;
}

const pauseReply = z.tuple([
  z.enum(['', ...accountTroubles]),
  z.number(),
  z.number(),
  z.string(),
  z.number(),
]);
const reasonSchema = z.enum([...accountTroubles, 'operator']).nullable();
const noteReply = z.tuple([z.enum(['held', 'again', 'paused']), z.number()]);
const verdict = z.enum(['final', 'again', 'held']);

export interface SendingPauseOptions {
  redis: RedisClient;
  sealer: Pick<Sealer, 'hashes'>;
  policy: Policy;
  operatorPauseKeys: readonly string[];
}

export function createSendingPause({
  redis,
  sealer,
  policy,
  operatorPauseKeys,
}: SendingPauseOptions): SendingPause {
  const readReason = createPauseReader(redis, { operatorPauseKeys, whileTrying: true });
  const load = (name: string) => loadScript(redis, plainSource(name, ['events', 'pause'], policy));
  const read = load('read-pause');
  const report = load('report-trouble');
  const startTrying = load('try-sending');
  const resume = load('resume');
  const noteAccepted = load('note-accepted');
  const noteRefusal = load('note-refusal');
  const judge = load('judge-refusal');
  const events = keys.events('sending');
  return {
    read: async () => {
      const [trouble, trying, since, text, tryInMs] = pauseReply.parse(await read([keys.pause], []));
      return trouble === '' ? null : { trouble, trying: trying === 1, since, text, tryInMs };
    },
    reason: async () => reasonSchema.parse(await readReason()),
    report: async ({ trouble, claimedAt }) =>
      (await report([keys.pause, events], [trouble, claimedAt, ''])) === 1,
    startTrying: async () => (await startTrying([keys.pause], [])) === 1,
    resume: async () => (await resume([keys.pause, keys.refusals, events], [])) === 1,
    noteAccepted: async (claimedAt) =>
      (await noteAccepted([keys.pause, keys.refusals, events], [claimedAt])) === 1,
    noteRefusal: async ({ claimedAt, text, inARow }) => {
      const numbers = inARow.flatMap((call) => [
        call.claimedAt,
        sealer.hashes('phone number', call.to.e164)[0],
      ]);
      const args = [claimedAt, text, refusalsThatPause, ...numbers];
      const [kind, began] = noteReply.parse(await noteRefusal([keys.pause, keys.refusals, events], args));
      return { kind, began: began === 1 };
    },
    judgeRefusal: async (claimedAt) => verdict.parse(await judge([keys.pause, keys.refusals], [claimedAt])),
  };
}

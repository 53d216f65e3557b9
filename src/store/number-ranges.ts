import { z } from 'zod';
import { createBatcher } from '../lib/batcher.js';
import { memoize } from '../lib/memoize.js';
import type { Otp } from '../otp/otp.js';
import type { PhoneNumber } from '../otp/phone-number.js';
import type { RangeDecision } from '../otp/refusal.js';
import { copyToCurrentKey, hashedKey, keys } from './keys.js';
import type { NumberLists } from './number-lists.js';
import { json, loadListScript, loadScript, type StoreContext, singleRecordLimits } from './script.js';
import type { ReleasedOtp } from './waiting-lines.js';

const limitedSchema = z.object({
  slowUntil: z.number(),
  blockedUntil: z.number(),
  /** Until then it has as many unverified codes as it may have; the cap may end sooner. */
  cappedUntil: z.number(),
  /** OTPs refused. */
  refused: z.number(),
  /** OTPs not refused only because of FRAUD_GUARD=monitor. */
  wouldRefuse: z.number(),
});

/**
 * A range (E.164 digits without the last four) that the toll-fraud guard slowed, blocked or capped. Times are ms of
 * Redis's clock; those past are over.
 */
export type LimitedRange = { app: string; range: string } & z.infer<typeof limitedSchema>;

/** The guard's check of a released OTP. */
export interface ReleaseCheck {
  /** How long its range takes no more; 0: it can be sent. */
  waitMs: number;
  /** The decision about its range because of it. */
  decision: RangeDecision | null;
}

/** Number ranges of 10,000 numbers. Admission applies the toll-fraud guard's decisions (`lua/ranges/range.lua`). */
export type NumberRanges = ReturnType<typeof createNumberRanges>;

/** A range as people read it, `6012-345xxxx`: never taken for a whole number by the masking of logs. */
export function shownRange(range: string): string {
  return `${range.slice(0, 4)}-${range.slice(4)}xxxx`;
}

const warnings = {
  slowed: 'A number range looks like SMS pumping and is slowed: too few of its codes were verified',
  blocked: 'A number range looks like SMS pumping and is blocked: too few of its codes were verified',
  capped: 'A number range has as many unverified codes as it may have at a time',
} satisfies Record<RangeDecision, string>;

/** The log entry of a decision of the guard. `enforced`: false in monitor mode. */
export function rangeWarning(
  { app, to }: Pick<Otp, 'app' | 'to'>,
  { decision, enforced }: { decision: RangeDecision; enforced: boolean },
): [object, string] {
  return [{ event: `range.${decision}`, app, range: shownRange(to.range), enforced }, warnings[decision]];
}

/** Notes under way at a time; more are dropped. */
const mostPending = 10_000;

/** The toll-fraud guard's decision about a range and, if `waitMs` is not 0, why it refuses the OTP. */
export const guardReply = z.object({
  decision: z.enum(['', 'slowed', 'blocked', 'capped']),
  waitMs: z.number(),
  reason: z.string(),
});
const takeReply = z.array(json(guardReply));
/** A master of a cluster that takes longer counts as unavailable. */
export const slotDeadlineMs = 1_000;
/** When a range is checked again whose master does not answer. */
const unavailableForMs = 1_000;

const readReply = json(limitedSchema).nullable();

/** The guard's ranges in Redis; their keys hold keyed hashes. */
export function createNumberRanges(
  options: StoreContext & { numberLists: Pick<NumberLists, 'listOf' | 'refresh'> },
) {
  const { redis, encrypter, policy, numberLists } = options;
  const noteMany = loadListScript(redis, 'ranges/range#note', policy);
  const readScript = loadScript(redis, 'ranges/range#read', policy);
  const takeMany = loadListScript(redis, 'ranges/range#take', policy, slotDeadlineMs);
  const emitBlocked = loadScript(redis, 'ranges/range#emit-blocked', policy);
  // On a cluster, a note whose master is unavailable must not delay the others.
  const { most } = singleRecordLimits;
  const limits = redis.isCluster ? { most, inFlight: Number.POSITIVE_INFINITY } : singleRecordLimits;
  const noteGathered = createBatcher(noteMany, limits);
  let pending = 0;
  const keyOf = memoize((name: string) => hashedKey(encrypter.hashes('number range', name), keys.range));
  const guarded = (app: string, to: PhoneNumber) => {
    if (policy.fraudGuard === 'off' || numberLists.listOf(app, to) === 'allow') return null;
    const name = `${app} ${to.range}`;
    return { name, key: keyOf(name) };
  };
  const read = async (name: string): Promise<LimitedRange[]> => {
    const [app = '', range = ''] = name.split(' ');
    const key = keyOf(name);
    await copyToCurrentKey(redis, [key]);
    const known = readReply.parse(await readScript([key.current], []));
    if (known) return [{ app, range, ...known }];
    await redis.srem(keys.ranges, name);
    return [];
  };
  return {
    /** The range of an OTP to this number, or null when the guard is off or the number exempt. */
    guarded,
    /** Applies the guard to OTPs of batches that are released now. */
    checkReleased: async (released: readonly ReleasedOtp[]) => {
      await numberLists.refresh();
      const checks = released.map((): ReleaseCheck => ({ waitMs: 0, decision: null }));
      const indexes = released.flatMap(({ otp }, i) => {
        const range = otp.isTest ? null : guarded(otp.app, otp.to);
        return range ? [{ i, name: range.name }] : [];
      });
      const byRange = [...Map.groupBy(indexes, ({ name }) => name)];
      const rangeKeys = byRange.map(([name]) => keyOf(name));
      await copyToCurrentKey(redis, rangeKeys);
      const answers = await takeMany(
        byRange.map(([name, of]) => ({
          key: keyOf(name).current,
          args: [of.map(({ i }) => 2 + (released[i]?.exempt ? 1 : 0)).join('')],
        })),
      );
      for (const [n, [name, of]] of byRange.entries()) {
        const answer = answers[n];
        // In monitor mode nothing waits, also while a master is unavailable.
        const parsed = answer instanceof Error ? [] : takeReply.parse(answer);
        for (const [index, { i }] of of.entries()) {
          const isUnavailable = answer instanceof Error && policy.fraudGuard === 'enforce';
          const { decision: decided = '', waitMs = 0 } = parsed[index] ?? {};
          const decision = decided === '' ? null : decided;
          checks[i] = { waitMs: isUnavailable ? unavailableForMs : waitMs, decision };
          if (decision === null) continue;
          await redis.sadd(keys.ranges, name).catch(() => {});
          if (decision === 'blocked') await emitBlocked([keys.events('ranges')], [name]).catch(() => {});
        }
      }
      return checks;
    },
    /** Counts the result of an OTP. Never rejects: a lost count only makes the guard a little stricter. */
    note: async (otp: Otp, what: 'sent' | 'unsent' | 'verified') => {
      const range = otp.isTest ? null : guarded(otp.app, otp.to);
      // An OTP of an upload was not counted as admitted.
      if (!range || (what === 'unsent' && otp.inBatch)) return;
      // Notes for an unavailable master must not fill this process.
      if (pending >= mostPending) return;
      const at = what === 'unsent' ? otp.createdAt : (otp.sentAt ?? otp.createdAt);
      pending += 1;
      const noted = copyToCurrentKey(redis, [range.key]).then(() =>
        noteGathered({ key: range.key.current, args: [what, at, otp.inBatch ? 1 : 0] }),
      );
      await noted.catch(() => {});
      pending -= 1;
    },
    /** Ranges that were slowed, blocked or capped lately. */
    limited: async () => {
      const names = await redis.smembers(keys.ranges);
      return (await Promise.all(names.sort().map(read))).flat();
    },
    /** Deletes a range's counts and decisions. False when there are none. */
    forget: async (app: string, range: string) => {
      const name = `${app} ${range}`;
      const { current, older } = keyOf(name);
      const known = await Promise.all([current, ...older].map((key) => redis.del(key)));
      await redis.srem(keys.ranges, name);
      return known.includes(1);
    },
  };
}

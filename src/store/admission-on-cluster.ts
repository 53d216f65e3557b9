import { z } from 'zod';
import { refuseByLimit } from '../otp/refusal.js';
import type { AdmissionOptions } from './admission.js';
import { type Candidate, candidateOf } from './admission-candidate.js';
import {
  admissionOf,
  type Case,
  closeCase,
  forEachCase,
  loadAdmit,
  parseReply,
  refused,
  refusedByBudget,
  refusedByGuard,
  rotateKeys,
  type Step,
} from './admission-case.js';
import { loadHolds } from './app-holds.js';
import { createAppPauses } from './app-pauses.js';
import { keys } from './keys.js';
import { guardReply } from './number-ranges.js';
import { openRecord } from './record.js';
import { json, loadListScript, loadRecordScript, loadScript, longestLifeMs } from './script.js';
import { createPauseReader, lastKnown } from './sending-pause.js';

const tenMinutesMs = 600_000;
/** Time for returning a unit of a window. */
const windowMarginMs = 100;
/** Longest admission: an older reservation of a key without an OTP has failed. */
const inFlightMs = 10_000;

/**
 * The steps of an admission on a Redis Cluster before the number's own slot decides: reserve the idempotency key, check
 * pauses and the number, count limits and ranges in slots of their own. A refusal returns what it took; a failure returns
 * nothing, so that never too many are admitted.
 */
export function stepsOnCluster(options: AdmissionOptions): Step[] {
  return [
    reserveKeys(options),
    rotateKeys(options),
    checkPausesAndNumbers(options),
    takeWindows(options),
    takeBudgets(options),
    refuseBlockedLines(options),
    checkFraudGuard(options),
  ];
}

const holderReply = json(z.object({ id: z.string(), fits: z.boolean(), ageMs: z.number() })).nullable();

/** Reserves idempotency keys; a replayed request gets the OTP of its key. */
function reserveKeys(options: AdmissionOptions): Step {
  const { redis, policy, encrypter } = options;
  const reserve = loadScript(redis, 'otp/idempotency-key#reserve');
  const release = loadScript(redis, 'otp/idempotency-key#release');
  const read = loadRecordScript(options, 'otp/otps#read');
  const reserveOrFindHolder = async ({ candidate: { id, facts } }: Case, key: string, takenFrom = '') => {
    const args = [id, JSON.stringify(facts.fingerprints), longestLifeMs(facts, policy), takenFrom];
    return holderReply.parse(await reserve([key], args));
  };
  const reserveOne = async (one: Case) => {
    const { idempotency } = one.candidate.keys;
    // Older encryption keys first: a key that is held under one of them is the same request.
    for (const key of idempotency.toReversed()) {
      const isCurrent = key === idempotency[0];
      if (!isCurrent && (await redis.exists(key)) === 0) continue;
      const holder = await reserveOrFindHolder(one, key);
      if (!holder) {
        const { id } = one.candidate;
        one.releaseKey = () => release([key], [id]);
        return;
      }
      const { id, fits, ageMs } = holder;
      const [raw] = z.tuple([z.string().optional()]).parse(await read(keys.recordOfId(id), []));
      if (raw !== undefined && !fits) return await closeCase(one, refused('idempotency_key_reused'));
      if (raw !== undefined)
        return await closeCase(one, { kind: 'replayed', otp: openRecord(encrypter, raw) });
      if (!fits && ageMs < inFlightMs) return await closeCase(one, refused('idempotency_in_flight'));
      // The same request failed, or is being admitted: under the same id it is admitted once.
      if (fits) {
        const { asked } = one.candidate;
        one.candidate = candidateOf(options, { ...asked, reserved: { id } });
        return;
      }
      const other = await reserveOrFindHolder(one, key, id);
      // A client that reconnects sends its command twice, and is the holder then.
      if (other && other.id !== one.candidate.id) await closeCase(one, refused('idempotency_in_flight'));
      return;
    }
  };
  return (cases) => forEachCase(cases, reserveOne);
}

function checkPausesAndNumbers(options: AdmissionOptions): Step {
  const peek = loadAdmit(options, { peek: true });
  const readPause = createPauseReader(options.redis, options);
  const readHolds = lastKnown(loadHolds(options.redis), []);
  const readPausedApps = lastKnown(createAppPauses(options).read, new Map());
  return async (cases) => {
    const [pause, holds, pausedApps, seen] = await Promise.all([
      readPause(),
      readHolds(),
      readPausedApps(),
      peek(cases.map(({ candidate }) => candidate)),
    ]);
    const onHold = new Set(holds.filter(({ tryInMs }) => tryInMs > 0).map(({ app }) => app));
    const refusalOf = (app: string) => {
      if (!pause && pausedApps.has(app)) return refused('app_paused');
      const reason = pause ?? (onHold.has(app) ? 'unrecognised_refusal' : null);
      return reason && refused('sending_paused', { reason });
    };
    await forEachCase(cases, async (one, index) => {
      const reply = parseReply(seen[index]);
      const refusal = reply.kind === 'replayed' ? null : refusalOf(one.candidate.facts.app);
      if (refusal) await closeCase(one, refusal);
      else if (reply.kind !== 'free') await closeCase(one, admissionOf(options, one.candidate, reply));
      else one.exempt = reply.exempt;
    });
  };
}

/** A fixed window that an OTP counts in. */
interface Window {
  by: 'app' | 'client_ip' | 'limit_key';
  /** Of its quota. */
  name: string;
  /** Null: the OTP does not count in it. */
  key: string | null;
  limit: number;
  windowMs: number;
  /** Of the limit key. */
  kind?: string;
}

function windowsOf({ keys, limits, facts, limitKeys }: Candidate): Window[] {
  const perClient = { by: 'client_ip', windowMs: tenMinutesMs } as const;
  return [
    { by: 'app', name: 'app', key: keys.appWindow, limit: limits.appPerSecond, windowMs: 1_000 },
    { ...perClient, name: 'client-ip', key: keys.clientIp, limit: limits.clientIpPer10Minutes },
    { ...perClient, name: 'client-ip-56', key: keys.clientNetwork, limit: facts.clientNetworkLimit ?? 0 },
    ...limitKeys.map(({ key, ...window }) => ({ by: 'limit_key' as const, ...window, key: key.current })),
  ];
}

const windowReply = z.tuple([z.number(), z.number(), z.number()]);

function takeWindows({ redis }: AdmissionOptions): Step {
  const take = loadListScript(redis, 'limits/windows#take');
  return async (cases) => {
    const counted = cases.flatMap((one) =>
      windowsOf(one.candidate).flatMap(({ key, ...window }) => (key === null ? [] : { one, key, window })),
    );
    for (const ofName of Map.groupBy(counted, ({ window }) => window.name).values()) {
      const first = ofName[0]?.window;
      if (!first) continue;
      const { by, name, windowMs, kind } = first;
      const open = ofName.filter(({ one }) => !one.admission);
      // Those that count in one window are of one app, and all read its limits at the same time.
      const groups = [...Map.groupBy(open, ({ key }) => key)].map(([key, ofKey]) => ({
        key,
        ofKey: ofKey.map(({ one }) => one),
        quota: Math.max(...ofKey.map(({ window }) => window.limit)),
      }));
      const calls = groups.map(({ key, ofKey, quota }) => ({ key, args: [quota, windowMs, ofKey.length] }));
      const answers = await take(calls);
      for (const [i, { key, ofKey, quota }] of groups.entries()) {
        await forEachCase(ofKey, async (one, index) => {
          const answer = answers[i];
          if (answer instanceof Error) throw answer;
          const [taken, used, resetMs] = windowReply.parse(answer);
          const left = { name, quota, windowMs, remaining: Math.max(0, quota - used), resetMs };
          if (index >= taken) {
            const refusal = refuseByLimit(by, { retryAfterMs: resetMs, quotas: [left], kind });
            return await closeCase(one, { kind: 'refused', refusal });
          }
          one.quotas.push(left);
          // Into the next window nothing is given back: it would admit too many there.
          const until = performance.now() + resetMs - windowMarginMs;
          one.giveBack.push(async () => {
            if (performance.now() < until) await take([{ key, args: [quota, windowMs, -1] }]);
          });
        });
      }
    }
  };
}

const budgetReply = json(
  z.object({
    /** For each OTP the number of the budget, from 1, or 0. */
    refusedBy: z.array(z.number()),
    events: z.array(z.object({ type: z.string(), budget: z.number(), used: z.number() })).default([]),
  }),
);

function takeBudgets({ redis, policy }: AdmissionOptions): Step {
  const take = loadScript(redis, 'limits/budget#take', policy);
  const giveBack = loadListScript(redis, 'limits/budget#give-back', policy);
  const emit = loadScript(redis, 'limits/budget#emit', policy);
  return async (cases) => {
    const open = cases.filter(({ candidate }) => candidate.budgets !== null);
    const groups = Map.groupBy(open, ({ candidate }) => candidate.budgets?.[0]?.key ?? '');
    const takeFor = async (ofApp: readonly Case[]) => {
      const budgets = ofApp[0]?.candidate.budgets ?? [];
      const windowKeys = budgets.map(({ key }) => key);
      const credits = ofApp.map(({ candidate }) => candidate.asked.request.credits);
      const reply = take(windowKeys, [JSON.stringify(budgets), JSON.stringify(credits)]);
      const taken = reply.then((answer) => budgetReply.parse(answer));
      await forEachCase(ofApp, async (one, index) => {
        const refusedBy = (await taken).refusedBy[index] ?? 0;
        if (refusedBy > 0) return await closeCase(one, refusedByBudget(budgets[refusedBy - 1]));
        one.giveBack.push(() => giveBack(windowKeys.map((key) => ({ key, args: [credits[index] ?? 0] }))));
      });
      const { events } = await taken.catch(() => ({ events: [] }));
      for (const { type, budget, used } of events) {
        const args = [JSON.stringify(budgets[budget - 1]), type, used];
        await emit([keys.events('budgets')], args).catch(() => {});
      }
    };
    await Promise.all([...groups.values()].map(takeFor));
  };
}

function checkFraudGuard({ redis, policy }: AdmissionOptions): Step {
  const take = loadListScript(redis, 'ranges/range#take', policy);
  const note = loadListScript(redis, 'ranges/range#note', policy);
  const emitBlocked = loadScript(redis, 'ranges/range#emit-blocked', policy);
  return async (cases) => {
    const ranges = rangesOf(cases.filter((one) => !isBulk(one)));
    const answers = await take(
      ranges.map(([key, ofKey]) => ({
        key,
        args: [ofKey.map((one) => (one.exempt ? 1 : 0)).join('')],
      })),
    );
    for (const [i, [key, ofKey]] of ranges.entries()) {
      const answer = answers[i];
      // In monitor mode nothing is refused, also while a master is unavailable.
      if (answer instanceof Error && policy.fraudGuard !== 'enforce') continue;
      await forEachCase(ofKey, async (one, index) => {
        if (answer instanceof Error) throw answer;
        const reply = json(guardReply).parse(z.array(z.unknown()).parse(answer)[index]);
        const { decision, waitMs } = reply;
        const rangeName = one.candidate.facts.rangeName ?? '';
        if (decision !== '') {
          one.rangeDecision = decision;
          // A list for the operator: what is missing in it is still logged, and in force.
          await redis.sadd(keys.ranges, rangeName).catch(() => {});
        }
        if (decision === 'blocked') await emitBlocked([keys.events('ranges')], [rangeName]).catch(() => {});
        if (waitMs > 0) return await closeCase(one, refusedByGuard(reply));
        // The others took no slot.
        if (!one.exempt) {
          one.giveBack.push(() => note([{ key, args: ['unsent', Date.now(), 0] }]));
        }
      });
    }
  };
}

function rangesOf(cases: readonly Case[]): [string, Case[]][] {
  const guarded = cases.filter(({ candidate }) => candidate.keys.range !== null);
  return [...Map.groupBy(guarded, ({ candidate }) => candidate.keys.range ?? '')];
}

/** Lines of batches are judged when they are released: only a range that is blocked refuses them before. */
function refuseBlockedLines({ redis, policy }: AdmissionOptions): Step {
  const blocked = loadListScript(redis, 'ranges/range#blocked', policy);
  return async (cases) => {
    if (policy.fraudGuard !== 'enforce') return;
    const ranges = rangesOf(cases.filter((one) => isBulk(one) && !one.exempt));
    const answers = await blocked(ranges.map(([key]) => ({ key, args: [] })));
    for (const [i, [, ofKey]] of ranges.entries()) {
      await forEachCase(ofKey, async (one) => {
        const answer = answers[i];
        if (answer instanceof Error) throw answer;
        const waitMs = z.number().parse(answer);
        const reason = 'blocked';
        if (waitMs > 0) await closeCase(one, refused('range_blocked', { reason, retryAfterMs: waitMs }));
      });
    }
  };
}

const isBulk = ({ candidate }: Case) => candidate.facts.batch !== undefined;

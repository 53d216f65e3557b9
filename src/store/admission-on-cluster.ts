import { z } from 'zod';
import { groupBy } from '../lib/group-by.js';
import type { Quota } from '../otp/refusal.js';
import type { AdmissionOptions } from './admission.js';
import { type Candidate, candidateOf, type Decide, partitionCallOf } from './admission-candidate.js';
import { loadHolds } from './app-holds.js';
import { keys, rotateKey } from './keys.js';
import {
  againAfterNewHistory,
  bySlot,
  json,
  loadListScript,
  loadRecordScript,
  loadScript,
  longestLifeMs,
  type RecordBatch,
} from './script.js';
import { createPauseReader, lastKnown } from './sending-pause.js';

const tenMinutesMs = 600_000;
/** How long giving a turn back may take on its way. */
const windowMarginMs = 100;

/**
 * On a Redis Cluster one call reaches one slot, so an admission is several: the idempotency key is reserved; then
 * pauses and what is known of the number are looked at; then limits and ranges in slots of their own are counted; then
 * the number's own slot decides, with the same function as on a single Redis. What is refused on the way gives back
 * what it took; what breaks off gives back nothing, so that never too many are admitted.
 */
export function decideOnCluster(options: AdmissionOptions): Decide {
  const steps: Step[] = [
    reserveKeys(options),
    (cases) => each(cases, ({ candidate }) => rotateKey(options.redis, candidate.hashed)),
    lookAtPausesAndNumbers(options),
    takeWindows(options),
    askTheGuard(options),
    admit(options),
  ];
  return async (candidates) => {
    const cases = candidates.map(
      (candidate): Case => ({ candidate, exempt: false, decided: '', quotas: [], giveBack: [] }),
    );
    for (const step of steps) {
      const open = cases.filter(({ answer }) => answer === undefined);
      if (open.length > 0) await step(open);
    }
    return cases.map(({ candidate, answer }) => ({ candidate, answer }));
  };
}

/** What belongs to the numbers of each partition, decided there. */
function decideInPartitions(options: AdmissionOptions, peek: boolean): RecordBatch<Candidate> {
  const { redis, policy } = options;
  const script = loadScript(redis, 'otp/admit', policy);
  const ask = againAfterNewHistory<Candidate>(options, async (candidates) => {
    const { scriptKeys, args } = partitionCallOf(candidates, peek);
    return (await script(scriptKeys, args)) as unknown[];
  });
  return bySlot(redis, ask);
}

const freeReply = z.tuple([z.literal('free'), z.number()]);

function lookAtPausesAndNumbers(options: AdmissionOptions): Step {
  const peek = decideInPartitions(options, true);
  const readPause = createPauseReader(options.redis, options);
  const readHolds = lastKnown(loadHolds(options.redis), []);
  return async (cases) => {
    const [pause, holds, seen] = await Promise.all([
      readPause(),
      readHolds(),
      peek(cases.map(({ candidate }) => candidate)),
    ]);
    const onHold = new Set(holds.filter(({ tryInMs }) => tryInMs > 0).map(({ app }) => app));
    await each(cases, async (one) => {
      const answer = seen[cases.indexOf(one)];
      const paused = pause ?? (onHold.has(one.candidate.facts.app) ? 'unrecognised_refusal' : null);
      const known = Array.isArray(answer) && answer[0] === 'known';
      if (answer instanceof Error) throw answer;
      if (paused && !known) return await refuse(one, ['paused', paused]);
      const free = freeReply.safeParse(answer);
      if (free.success) one.exempt = free.data[1] === 1;
      else await refuse(one, answer);
    });
  };
}

const windowReply = z.tuple([z.number(), z.number(), z.number()]);

function takeWindows(options: AdmissionOptions): Step {
  const { policy, redis } = options;
  const take = loadListScript(redis, 'limits/windows#take');
  const windows = [
    {
      by: 'app',
      name: 'app',
      limitOf: ({ candidate }: Case) => candidate.facts.limits?.appPerSecond ?? policy.appPerSecond,
      windowMs: 1_000,
      keyOf: (one: Case) => one.candidate.keys.appWindow,
    },
    {
      by: 'client_ip',
      name: 'client-ip',
      limitOf: ({ candidate }: Case) =>
        candidate.facts.limits?.clientIpPer10Minutes ?? policy.clientIpPer10Minutes,
      windowMs: tenMinutesMs,
      keyOf: (one: Case) => one.candidate.keys.clientIp,
    },
    {
      by: 'client_ip',
      name: 'client-ip-56',
      limitOf: ({ candidate }: Case) => candidate.facts.clientNetworkLimit ?? 0,
      windowMs: tenMinutesMs,
      keyOf: (one: Case) => one.candidate.keys.clientNetwork,
    },
  ];
  return async (cases) => {
    for (const { by, name, limitOf, windowMs, keyOf } of windows) {
      const counted = cases.filter((one) => one.answer === undefined && keyOf(one) !== null);
      const groups = [...groupBy(counted, (one) => keyOf(one) ?? '')];
      const answers = await take(
        groups.map(([key, ofKey]) => ({ key, args: [limitOfAll(ofKey, limitOf), windowMs, ofKey.length] })),
      );
      for (const [i, [key, ofKey]] of groups.entries()) {
        const limit = limitOfAll(ofKey, limitOf);
        await each(ofKey, async (one) => {
          const answer = answers[i];
          if (answer instanceof Error) throw answer;
          const [taken, used, resetMs] = windowReply.parse(answer);
          const quota = { name, quota: limit, windowMs, remaining: Math.max(0, limit - used), resetMs };
          if (ofKey.indexOf(one) >= taken) {
            return await refuse(one, ['limited', by, resetMs, toReply([quota])]);
          }
          one.quotas.push(quota);
          // Into the next window nothing is given back: it would admit too many there.
          const until = performance.now() + resetMs - windowMarginMs;
          one.giveBack.push(async () => {
            if (performance.now() < until) await take([{ key, args: [limit, windowMs, -1] }]);
          });
        });
      }
    }
  };
}

/** Those that count in one window are of one app, and all read its limits at the same time. */
function limitOfAll(cases: readonly Case[], limitOf: (one: Case) => number): number {
  const [first] = cases;
  return first ? limitOf(first) : 0;
}

const toReply = (quotas: readonly Quota[]) =>
  quotas.map(({ name, quota, windowMs, remaining, resetMs }) => [name, quota, windowMs, remaining, resetMs]);

const guardReply = json(z.object({ decided: z.string(), waitMs: z.number(), reason: z.string() }));

function askTheGuard(options: AdmissionOptions): Step {
  const { redis, policy } = options;
  const take = loadListScript(redis, 'ranges/range#take', policy);
  const note = loadListScript(redis, 'ranges/range#note', policy);
  const emitBlocked = loadScript(redis, 'ranges/range#emit-blocked', policy);
  return async (cases) => {
    const guarded = cases.filter(({ candidate }) => candidate.keys.range !== null);
    const ranges = [...groupBy(guarded, ({ candidate }) => candidate.keys.range ?? '')];
    const answers = await take(
      ranges.map(([key, ofKey]) => ({
        key,
        args: [ofKey.map((one) => (one.exempt ? 1 : 0) + (isBulk(one) ? 2 : 0)).join('')],
      })),
    );
    for (const [i, [key, ofKey]] of ranges.entries()) {
      const answer = answers[i];
      // A guard that only watches refuses nothing, also where its master is away.
      if (answer instanceof Error && policy.fraudGuard !== 'enforce') continue;
      await each(ofKey, async (one) => {
        if (answer instanceof Error) throw answer;
        const { decided, waitMs, reason } = guardReply.parse(
          z.array(z.unknown()).parse(answer)[ofKey.indexOf(one)],
        );
        one.decided = decided;
        // A list for the operator: what is missing in it is still logged, and in force.
        if (one.decided !== '') {
          await redis.sadd(keys.ranges, one.candidate.facts.rangeName ?? '').catch(() => {});
        }
        if (one.decided === 'blocked') {
          await emitBlocked([keys.events('ranges')], [one.candidate.facts.rangeName ?? '']).catch(() => {});
        }
        if (waitMs > 0) return await refuse(one, ['blocked', waitMs, decided, reason]);
        // The others took no place.
        if (!one.exempt && !isBulk(one)) {
          one.giveBack.push(() => note([{ key, args: ['unsent', Date.now(), 0] }]));
        }
      });
    }
  };
}

const isBulk = ({ candidate }: Case) => candidate.facts.batch !== undefined;

const admittedReply = z.union([
  z.number(),
  z.tuple([z.literal('admitted'), z.number(), z.string(), z.array(z.unknown())]),
]);

function admit(options: AdmissionOptions): Step {
  const { redis, policy } = options;
  const decide = decideInPartitions(options, false);
  const keepReference = loadScript(redis, 'otp/reference#keep');
  return async (cases) => {
    const answers = await decide(cases.map(({ candidate }) => candidate));
    await each(cases, async (one) => {
      const answer = answers[cases.indexOf(one)];
      // Whether it was admitted is not known, so nothing is given back.
      if (answer instanceof Error) throw answer;
      const admitted = admittedReply.safeParse(answer);
      if (!admitted.success) return await refuse(one, answer);
      const [createdAt, quotas] =
        typeof admitted.data === 'number' ? [admitted.data, []] : [admitted.data[1], admitted.data[3]];
      const {
        id,
        keys: { reference },
      } = one.candidate;
      // The OTP is admitted: a reference that is not kept only makes it harder to find.
      if (reference !== null) {
        await keepReference([reference], [id, longestLifeMs(one.candidate.facts, policy)]).catch(() => {});
      }
      one.answer = ['admitted', createdAt, one.decided, [...quotas, ...toReply(one.quotas)]];
    });
  };
}

/** What is being decided, and what it has taken that must be given back when it is refused. */
interface Case {
  candidate: Candidate;
  answer?: unknown;
  exempt: boolean;
  decided: string;
  quotas: Quota[];
  giveBack: (() => Promise<unknown>)[];
  /** Goes on with what another request of the same key began: whichever comes second is a replay. */
  joined?: boolean;
  /** Lets go of the idempotency key, unless an OTP was admitted under it after all. */
  releaseKey?: () => Promise<unknown>;
}

/** One step of an admission, for all cases that are still open. */
export type Step = (cases: Case[]) => Promise<void>;

/** Ends a case with a refusal, and gives back what it took; losing that only makes limits a little stricter. */
export async function refuse(one: Case, answer: unknown): Promise<void> {
  const isKnown = Array.isArray(answer) && answer[0] === 'known';
  one.answer = isKnown && one.joined ? ['replayed', answer[1]] : answer;
  const back = one.releaseKey && !isKnown ? [...one.giveBack, one.releaseKey] : one.giveBack;
  await Promise.all(back.map((give) => give().catch(() => {})));
}

/** Each on its own: where Redis fails one, the others go on. */
export async function each(cases: readonly Case[], work: (one: Case) => Promise<void>): Promise<void> {
  await Promise.all(
    cases.map((one) =>
      work(one).catch((error: unknown) => {
        one.answer = error;
      }),
    ),
  );
}

/** An admission takes no longer: what reserved a key before that and has no OTP is over. */
const inFlightMs = 10_000;

const heldReply = json(z.object({ id: z.string(), fits: z.boolean(), ageMs: z.number() })).nullable();

/** Reserves idempotency keys; a request that is known under its key is answered with the OTP it has. */
function reserveKeys(options: AdmissionOptions): Step {
  const { redis, policy } = options;
  const reserve = loadScript(redis, 'otp/idempotency-key#reserve');
  const release = loadScript(redis, 'otp/idempotency-key#release');
  const read = loadRecordScript(options, 'otp/otps#read');
  const heldBy = async (one: Case, key: string, takenFrom = '') => {
    const { id, facts } = one.candidate;
    const args = [
      id,
      JSON.stringify(facts.fingerprints),
      longestLifeMs(one.candidate.facts, policy),
      takenFrom,
    ];
    return heldReply.parse(await reserve([key], args));
  };
  const reserveOne = async (one: Case) => {
    const { idempotency } = one.candidate.keys;
    // Older encryption keys first: what is held under one of them is still the same request.
    for (const key of idempotency.toReversed()) {
      const isCurrent = key === idempotency[0];
      if (!isCurrent && (await redis.exists(key)) === 0) continue;
      const held = await heldBy(one, key);
      if (!held) {
        const { id } = one.candidate;
        one.releaseKey = () => release([key], [id]);
        return;
      }
      const { id, fits, ageMs } = held;
      const [raw] = z.tuple([z.string().optional()]).parse(await read(keys.recordOfId(id), []));
      if (raw !== undefined) return await refuse(one, fits ? ['replayed', raw] : ['key_reused']);
      if (!fits && ageMs < inFlightMs) return await refuse(one, ['key_in_flight']);
      // The same request broke off, or is just being admitted: under the same id it is admitted once.
      if (fits) {
        one.candidate = underId(options, one.candidate, id);
        one.joined = true;
        return;
      }
      const heldNow = await heldBy(one, key, id);
      // A client that reconnects asks twice, and finds itself.
      if (heldNow && heldNow.id !== one.candidate.id) await refuse(one, ['key_in_flight']);
      return;
    }
  };
  return (cases) =>
    each(
      cases.filter(({ candidate }) => candidate.keys.idempotency.length > 0),
      reserveOne,
    );
}

function underId(options: AdmissionOptions, { asked, facts }: Candidate, id: string): Candidate {
  return candidateOf(options, { ...asked, reserved: { id, phone: facts.phone } });
}

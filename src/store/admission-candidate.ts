import { widerNetwork, widerNetworkShare } from '../otp/client-address.js';
import type { OtpRequest } from '../otp/otp.js';
import { newOtpId, partitionOf } from '../otp/otp-id.js';
import type { AdmissionOptions, AdmissionRequest } from './admission.js';
import { budgetsOf } from './budgets.js';
import type { KeyedHashes } from './encryption.js';
import { type HashedKey, hashedKey, keys } from './keys.js';
import { encryptRequest } from './record.js';
import type { Policy } from './script.js';

/** A requested OTP, with everything that the Lua function needs to decide about it. */
export type Candidate = ReturnType<typeof candidateOf>;

/** The limits that hold for one OTP: its app's own, or the gateway's. */
type CandidateLimits = Pick<Policy, keyof NonNullable<OtpRequest['limits']> | 'recipientPerDayAllApps'>;

/** Makes a candidate of what is asked for, under a new id unless one was reserved. */
export function candidateOf(options: AdmissionOptions, asked: AdmissionRequest) {
  const { encrypter, ranges, policy } = options;
  const { request, idempotency = null, reserved } = asked;
  const { app, to, credits, ttlSeconds, maxAttempts, reference } = request;
  const hashesOf = (purpose: string, value: string) => encrypter.hashes(purpose, `${app}\n${value}`);
  const phones = reserved?.phones ?? encrypter.hashes('phone number', to.e164);
  const [phone] = phones;
  const id = reserved?.id ?? newOtpId(partitionOf(phone));
  const range = request.isTest ? null : ranges.guarded(app, to);
  const idempotencyKeys = idempotency
    ? hashesOf('idempotency key', `${idempotency.endpoint}\n${idempotency.key}`).map(keys.idempotency)
    : [];
  const limits = limitsOf(request, policy);
  const budgets = credits > 0 ? budgetsOf(app, limits, policy.budgetTimeZone) : null;
  const clientIp = limits.clientIpPer10Minutes > 0 ? request.clientIp : null;
  const limitKeys = limitKeyWindowsOf(request, hashesOf);
  const windowOf = (address: string | null) =>
    address === null ? null : hashedKey(hashesOf('client address', address), keys.clientIpWindow);
  const clientWindow = windowOf(clientIp);
  const networkWindow = windowOf(clientIp === null ? null : widerNetwork(clientIp));
  const record = {
    id,
    app,
    phone,
    credits,
    ttlSeconds,
    maxAttempts,
    purpose: request.purpose ?? undefined,
    template: request.template ?? undefined,
    isTest: request.isTest || undefined,
    batch: reserved?.batch,
    startAt: reserved?.startAt ?? undefined,
    // The key of the day's budget; on a cluster, where that is in another slot, the day: credits are collected by it.
    reserved: options.redis.isCluster ? budgets?.[0]?.name : budgets?.[0]?.key,
    // On a cluster its key is in another slot, so it goes by its own time.
    idempotencyKey: options.redis.isCluster ? undefined : idempotencyKeys[0],
    encrypted: encryptRequest(encrypter, id, request),
  };
  return {
    id,
    asked,
    /** Of its record. */
    key: keys.recordOfId(id),
    /** The record's text, without what Redis decides. */
    record: JSON.stringify(record),
    limits,
    /** Keys of limits and indexes that it counts in; those of limits that are off are left out. */
    keys: {
      appWindow: limits.appPerSecond > 0 ? keys.appWindow(app) : null,
      clientIp: clientWindow?.current ?? null,
      /** Of an IPv6 client: its /56 network. */
      clientNetwork: networkWindow?.current ?? null,
      range: range?.key.current ?? null,
      reference: reference === null ? null : keys.reference(hashesOf('reference', reference)[0]),
      idempotency: idempotencyKeys,
    },
    /** The windows of its limit keys. */
    limitKeys,
    /** The app's budgets, of the day and of the month; null: it has none, or the OTP costs nothing. */
    budgets,
    /** How its job is added in the same step; null: the caller adds it. */
    job: asked.jobOf?.(id) ?? null,
    /** Keys whose values may be under older encryption keys. */
    hashed: [
      hashedKey(phones, keys.phone),
      clientWindow,
      networkWindow,
      range?.key,
      ...limitKeys.map(({ key }) => key),
    ].filter((key): key is HashedKey => key != null && key.older.length > 0),
    /** Sent to the Lua function on every topology. */
    facts: {
      app,
      phone,
      ttlMs: ttlSeconds * 1_000,
      sendDeadlineMs: request.sendDeadlineSeconds * 1_000,
      batch: reserved?.batch,
      /** When its batch starts, from which its deadline counts. */
      startAt: reserved?.startAt ?? undefined,
      rangeName: range?.name,
      /** Where they are not the gateway's. */
      limits: limits === policy ? undefined : limits,
      /** Whether it is to a test number, whose OTPs are counted apart. */
      isTest: request.isTest || undefined,
      /** How many the client's IPv6 /56 network may ask for. */
      clientNetworkLimit: networkWindow ? limits.clientIpPer10Minutes * widerNetworkShare : undefined,
      fingerprints: idempotency ? encrypter.hashes('request body', idempotency.body) : undefined,
      refused: asked.refuseWith ? true : undefined,
      /** The purpose whose earlier OTPs it replaces; '' for none. */
      supersedes: request.replacesEarlier ? (request.purpose ?? '') : undefined,
      quotas: asked.quotas,
    },
  };
}

/** Nothing is sent to a test number, but its OTPs take memory in Redis and places in the queue. */
const testLimits = {
  recipientCooldownMs: 0,
  recipientPer10Minutes: 100,
  recipientPerDay: 0,
  recipientPerDayAllApps: 0,
};

function limitsOf({ limits, isTest }: OtpRequest, policy: Policy): CandidateLimits {
  if (limits === null && !isTest) return policy;
  const own = limits ?? {};
  return {
    recipientCooldownMs: own.recipientCooldownMs ?? policy.recipientCooldownMs,
    recipientPer10Minutes: own.recipientPer10Minutes ?? policy.recipientPer10Minutes,
    recipientPerDay: own.recipientPerDay ?? policy.recipientPerDay,
    recipientPerDayAllApps: policy.recipientPerDayAllApps,
    appPerSecond: own.appPerSecond ?? policy.appPerSecond,
    clientIpPer10Minutes: own.clientIpPer10Minutes ?? policy.clientIpPer10Minutes,
    creditsPerDay: own.creditsPerDay ?? policy.creditsPerDay,
    creditsPerMonth: own.creditsPerMonth ?? policy.creditsPerMonth,
    ...(isTest && testLimits),
  };
}

/** The longest first: on a cluster, the wait is that of the first window that is exceeded. */
const keyWindows = [
  { limit: 'perDay', window: 'day', windowMs: 86_400_000 },
  { limit: 'per10Minutes', window: '10min', windowMs: 600_000 },
] as const;

/** A limit key that is no longer limited, in a resend, counts in no window; nor does an OTP to a test number. */
function limitKeyWindowsOf(
  { limitKeys, keyLimits, isTest }: OtpRequest,
  hashesOf: (purpose: string, value: string) => KeyedHashes,
) {
  if (limitKeys === null || isTest) return [];
  const hashed = Object.entries(limitKeys).map(
    ([kind, value]) => [kind, hashesOf('limit key', `${kind}\n${value}`)] as const,
  );
  return keyWindows
    .flatMap(({ limit, window, windowMs }) =>
      hashed.map(([kind, hashes]) => ({
        kind,
        name: `limit-key-${kind}-${window}`,
        key: hashedKey(hashes, (hash) => keys.limitKeyWindow(hash, window)),
        limit: keyLimits.get(kind)?.[limit] ?? 0,
        windowMs,
      })),
    )
    .filter(({ limit }) => limit > 0);
}

/**
 * Keys and arguments of a call: keys beside the records are named by their index, and left out on a cluster, where a call
 * reaches one slot. `peek` writes nothing.
 */
export function callOf(
  { redis, operatorPauseKeys }: AdmissionOptions,
  candidates: readonly Candidate[],
  peek: boolean,
) {
  const scriptKeys = candidates.map(({ key }) => key);
  const known = new Map<string, number>();
  const keyIndex = (key: string): number => {
    // Lua counts from 1, so the new length is the index.
    const at = known.get(key) ?? scriptKeys.push(key);
    known.set(key, at);
    return at;
  };
  const jobArgs = candidates.flatMap(({ job }) => job?.args ?? []);
  // The call itself comes first, then the records.
  let nextJob = 1 + candidates.length;
  const jobArgsOf = (job: Candidate['job']) => {
    if (!job) return undefined;
    const args = { keys: job.keys.map(keyIndex), from: nextJob + 1, to: nextJob + job.args.length };
    nextJob = args.to;
    return args;
  };
  const keyIndexOf = (key: string | null) => (key === null ? undefined : keyIndex(key));
  const itemOf = (candidate: Candidate) => {
    const { facts, asked, budgets, job, limitKeys } = candidate;
    const { appWindow, clientIp, clientNetwork, range, reference, idempotency } = candidate.keys;
    const indexes = {
      appWindow: keyIndexOf(appWindow),
      clientIp: keyIndexOf(clientIp),
      clientNetwork: keyIndexOf(clientNetwork),
      range: keyIndexOf(range),
      reference: keyIndexOf(reference),
      limitKeys:
        limitKeys.length > 0
          ? limitKeys.map(({ key, ...window }) => ({ ...window, keyIndex: keyIndex(key.current) }))
          : undefined,
      list: keyIndex(keys.otpsOfApp(facts.app)),
      line: asked.reserved?.line,
      credits: budgets ? asked.request.credits : undefined,
      budgets: budgets?.map(({ key, name: _name, ...budget }) => ({ ...budget, keyIndex: keyIndex(key) })),
      idempotency: idempotency.length > 0 ? idempotency.map(keyIndex) : undefined,
      job: jobArgsOf(job),
    };
    // A spread of these with further members takes 12 µs (measured).
    return Object.assign(indexes, facts);
  };
  const call = redis.isCluster
    ? { peek, items: candidates.map(({ facts }) => facts) }
    : {
        pause: keyIndex(keys.pause),
        appCalls: keyIndex(keys.appCalls),
        appPauses: keyIndex(keys.appPauses),
        operatorPauses: operatorPauseKeys.map(keyIndex),
        ranges: keyIndex(keys.ranges),
        rangeEvents: keyIndex(keys.events('ranges')),
        budgetEvents: keyIndex(keys.events('budgets')),
        items: candidates.map(itemOf),
      };
  return {
    scriptKeys,
    args: [JSON.stringify(call), ...candidates.map(({ record }) => record), ...jobArgs],
  };
}

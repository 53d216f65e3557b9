import type { Status } from '../../src/otp/otp.js';
import type { SendOutcome } from '../../src/otp/outcome.js';
import type { SendClaim } from '../../src/store/send-attempts.js';
import type { Store } from '../../src/store/store.js';
import type { Verification } from '../../src/store/verification-attempts.js';
import { type Claim, hasEnded, type KnownOtp, type Moment, type Rules, tick } from './model.js';
import type { System } from './system.js';

/** What Redis knows, and may forget again. An OTP goes by its place in `History.otps`. */
export interface Memory {
  otps: Map<number, KnownOtp>;
  /** Which OTP an idempotency key stands for. */
  keys: Map<string, number>;
  /** OTPs that were erased. */
  erased: Set<number>;
  /** OTPs that have a job. */
  jobs: Set<number>;
  /** Under each encryption key, the OTPs that took the place of the number's earlier ones, and when, in order. */
  replaced: Map<number, readonly { by: number; at: number }[]>;
  /** From when on a sweep must report an OTP that has no job. */
  missedFrom: Map<number, number>;
  /** How often Redis has lost its last moments. */
  losses: number;
}

/** What happened to an OTP in the world; no Redis takes that back. */
export interface Facts {
  id: string;
  /** Which encryption key its number was hashed under. */
  keyInFront: number;
  maxAttempts: number;
  /** Calls that reached iSMS, and those of them that may have sent an SMS. */
  calls: number;
  sends: number;
  /** Attempts of it that may have led to a call, for all that anyone but the world can know. */
  doubtful: Set<number>;
  /** Verifications that may have asked iSMS, and those that let someone in. */
  asked: number;
  approvals: number;
}

/** A claim that a worker holds. */
export interface HeldClaim {
  otp: number;
  store: Store;
  claim: SendClaim;
  /** The claim and the OTP as the model knew them then. */
  known: Claim;
  held: KnownOtp;
  /** Null until it has called. */
  outcome: SendOutcome | null;
  settled: boolean;
}

/** A verification that was admitted and is not settled. */
export interface HeldVerification {
  otp: number;
  store: Store;
  verification: Verification;
}

/** One history: what the model expects Redis to know, and what the gateway's processes and the world remember. */
export interface History {
  rules: Rules;
  memory: Memory;
  synced: { memory: Memory; at: number };
  otps: Facts[];
  claims: HeldClaim[];
  verifications: HeldVerification[];
  /** Whether other OTPs use the worker's retry budget up before each call. */
  budgetSpent: boolean;
  tokens: number;
}

/** A history in which nothing has happened. */
export function newHistory(rules: Rules, now: number): History {
  const memory: Memory = {
    ...{ otps: new Map(), keys: new Map(), erased: new Set(), jobs: new Set() },
    ...{ replaced: new Map(), missedFrom: new Map() },
    losses: 0,
  };
  const synced = { memory: structuredClone(memory), at: now };
  return {
    rules,
    memory,
    synced,
    otps: [],
    claims: [],
    verifications: [],
    budgetSpent: false,
    tokens: 0,
  };
}

/** What an OTP meets now. */
export function momentOf({ rules, memory, otps }: History, system: System, otp: number): Moment {
  const replacements = memory.replaced.get(otps[otp]?.keyInFront ?? 0) ?? [];
  const createdAt = memory.otps.get(otp)?.createdAt ?? 0;
  const own = replacements.findIndex(({ by }) => by === otp);
  const first = replacements.slice(own + 1).find(({ at }) => createdAt <= at);
  return { now: system.now(), losses: memory.losses, replacedAt: first?.at ?? null, rules };
}

/** Fails where what was found is not what the model says. */
export function agree(what: string, found: unknown, expected: unknown): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: found ${left}, the model says ${right}`);
}

/** Fails where something happened that never may. */
export function never(what: string, happened: boolean): void {
  if (happened) throw new Error(`this must never happen: ${what}`);
}

/** Looks at every OTP, and compares it with what the model says. */
export async function observe(history: History, system: System): Promise<void> {
  const views = history.otps.map((_, otp) => viewOf(history, otp, system));
  if (views.some((view) => view && mayBeGone(view, history, system))) await system.expire();
  const found = await Promise.all(history.otps.map(({ id }) => system.store.otps.find('shop', id)));
  for (const [otp, view] of views.entries()) {
    const seen = found[otp] ?? null;
    if (!seen && view && mayBeGone(view, history, system)) history.memory.otps.delete(otp);
    else if (!seen || !view) agree(`OTP ${otp} is kept`, seen !== null, view !== null);
    else compare(history, system, { otp, seen, view });
  }
}

function compare(
  history: History,
  system: System,
  { otp, seen, view }: { otp: number; seen: Shown; view: KnownOtp },
): void {
  never(`OTP ${otp} is kept past its time`, mustBeGone(view, history, system));
  agree(`OTP ${otp}`, shown(seen), shownByModel(view));
}

/** The OTP as the clock has it now; null where Redis knows none. */
export function viewOf(history: History, otp: number, system: System): KnownOtp | null {
  const known = history.memory.otps.get(otp);
  if (!known) return null;
  const view = structuredClone(known);
  tick(view, momentOf(history, system, otp));
  return view;
}

interface Shown {
  status: Status;
  attemptsRemaining: number;
  smsId: string | null;
  expiresAt: number | null;
}

function shown({ status, attemptsRemaining, smsId, expiresAt }: Shown): Shown {
  // Of what was sent after it had been cancelled, only the books are told.
  return status === 'cancelled'
    ? { status, attemptsRemaining, smsId: null, expiresAt: null }
    : { status, attemptsRemaining, smsId, expiresAt };
}

function shownByModel({ status, maxAttempts, attempts, accepted, expiresAt }: KnownOtp): Shown {
  const attemptsRemaining = maxAttempts - attempts;
  const smsId = accepted && status !== 'sending' ? String(accepted.attempt) : null;
  return shown({ status, attemptsRemaining, smsId, expiresAt: expiresAt === 0 ? null : expiresAt });
}

function mayBeGone(otp: KnownOtp, { rules }: History, { now }: System): boolean {
  return hasEnded(otp) && (otp.endedBefore ?? otp.since) + rules.retentionMs <= now();
}

/** An end that is not written yet lets the record stay as long as the OTP might have lasted. */
function mustBeGone(otp: KnownOtp, { rules }: History, { now }: System): boolean {
  const late = otp.accepted ? otp.accepted.at + otp.ttlMs : 0;
  const last = Math.max(otp.since, otp.sendDeadline, otp.claim?.endsAt ?? 0, otp.expiresAt, late);
  return hasEnded(otp) && last + rules.retentionMs <= now();
}

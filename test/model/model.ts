import type { Status } from '../../src/otp/otp.js';
import { type SendOutcome, spendsRetry, type VerifyOutcome } from '../../src/otp/outcome.js';

/** What a history of commands runs under. All durations are milliseconds. */
export interface Rules {
  retentionMs: number;
  sendLeaseMs: number;
  verifyLeaseMs: number;
  maxSendRetries: number;
  maxResendsAfterUnknown: number;
  /** Whether Redis syncs every write: then a crash loses nothing. */
  durable: boolean;
}

/** So long after an unknown was written down, a Redis that can lose something is sure to keep it. */
const lossWindowMs = 3_000;

/** One claim on an OTP's next send. */
export interface Claim {
  token: string;
  attempt: number;
  at: number;
  endsAt: number;
}

/** One OTP, as Redis knows it. */
export interface KnownOtp {
  readonly createdAt: number;
  readonly sendDeadline: number;
  readonly ttlMs: number;
  readonly maxAttempts: number;
  status: Status;
  since: number;
  /** An end before the present one, until which its record may be kept: a replacement is not written down. */
  endedBefore: number | null;
  claims: number;
  /** The running claim, or the last one. */
  claim: Claim | null;
  /** The newest claim whose call iSMS accepted. */
  accepted: Claim | null;
  unknowns: number;
  /** Those of them that only stand for a claim that Redis may have forgotten. */
  presumed: number;
  unknownAt: number;
  retries: number;
  mayHaveSent: boolean;
  /** Whether its last call had an unrecognised refusal: then its deadline ends it as failed. */
  isRefused: boolean;
  /** The losses of Redis that its unknowns stand for, and those before it was admitted. */
  losses: number;
  expiresAt: number;
  attempts: number;
  /** When each verification attempt that is under way gives up. */
  leases: Map<string, number>;
  verifiedBy: string | null;
}

/** When something happens to an OTP. */
export interface Moment {
  /** Redis's time. */
  now: number;
  /** How often Redis has lost its last moments. */
  losses: number;
  /** Since when a resend has taken the OTP's place; null: none has. */
  replacedAt: number | null;
  rules: Rules;
}

/** Whether the clock moves it on no more. */
export function hasEnded({ status }: Pick<KnownOtp, 'status'>): boolean {
  return status !== 'queued' && status !== 'sending' && status !== 'sent';
}

/** Retries and resends that it has used. */
export function triesOf({ retries, unknowns, presumed }: KnownOtp): number {
  return retries + unknowns - presumed;
}

/** A newly admitted OTP. */
export function admit(
  asked: { sendDeadlineMs: number; ttlMs: number; maxAttempts: number },
  { now, losses }: Moment,
): KnownOtp {
  const { sendDeadlineMs, ttlMs, maxAttempts } = asked;
  return {
    ...{
      createdAt: now,
      sendDeadline: now + sendDeadlineMs,
      ttlMs,
      maxAttempts,
      status: 'queued',
      since: now,
      endedBefore: null,
      losses,
    },
    ...{
      claims: 0,
      claim: null,
      accepted: null,
      unknowns: 0,
      presumed: 0,
      unknownAt: 0,
      retries: 0,
      mayHaveSent: false,
      isRefused: false,
    },
    ...{ expiresAt: 0, attempts: 0, leases: new Map(), verifiedBy: null },
  };
}

function become(otp: KnownOtp, status: Status, at: number): void {
  if (otp.status !== status) otp.since = at;
  otp.status = status;
}

function becomeSent(otp: KnownOtp, accepted: Claim, at: number): void {
  otp.accepted = accepted;
  otp.expiresAt = accepted.at + otp.ttlMs;
  become(otp, 'sent', at);
}

function countUnknown(otp: KnownOtp, at: number, { now, losses, rules }: Moment): void {
  otp.losses = Math.max(otp.losses, losses);
  otp.unknowns += 1;
  otp.unknownAt = now;
  otp.mayHaveSent = true;
  const again = otp.unknowns <= rules.maxResendsAfterUnknown && at < otp.sendDeadline;
  if (otp.accepted) becomeSent(otp, otp.accepted, at);
  else become(otp, again ? 'queued' : 'unknown', at);
}

function fail(otp: KnownOtp, at: number): void {
  if (otp.accepted) becomeSent(otp, otp.accepted, at);
  else become(otp, otp.mayHaveSent ? 'unknown' : 'failed', at);
}

/** With all attempts used and none under way, no code can be right any more. */
function lockIfExhausted(otp: KnownOtp, now: number): void {
  if (otp.attempts < otp.maxAttempts) return;
  const last = Math.max(0, ...otp.leases.values());
  for (const [token, endsAt] of otp.leases) if (endsAt <= now) otp.leases.delete(token);
  if (otp.leases.size === 0 && last < otp.expiresAt) become(otp, 'locked', last || now);
}

/** Cancels an OTP in whose place another one was admitted, unless it had ended by then. */
function replace(otp: KnownOtp, replacedAt: number): void {
  const endsAt = { queued: otp.sendDeadline, sent: otp.expiresAt }[otp.status as 'queued' | 'sent'];
  const isLive = !hasEnded(otp) || otp.status === 'unknown';
  if (!isLive || replacedAt >= (endsAt ?? Number.POSITIVE_INFINITY)) return;
  if (otp.status === 'unknown') otp.endedBefore = otp.since;
  become(otp, 'cancelled', Math.max(replacedAt, otp.since));
}

/** Moves an OTP to where the clock alone has taken it. */
export function tick(otp: KnownOtp, moment: Moment): void {
  const { now, losses, replacedAt } = moment;
  if (replacedAt !== null) replace(otp, replacedAt);
  if (otp.status === 'sending' && otp.claim && now >= otp.claim.endsAt)
    countUnknown(otp, otp.claim.endsAt, moment);
  if (otp.status === 'queued' && now >= otp.sendDeadline) {
    const mayHaveSent = otp.mayHaveSent || otp.losses < losses;
    become(otp, mayHaveSent ? 'unknown' : otp.isRefused ? 'failed' : 'expired', otp.sendDeadline);
  }
  if (otp.status === 'sent') lockIfExhausted(otp, now);
  if (otp.status === 'sent' && now >= otp.expiresAt) become(otp, 'expired', otp.expiresAt);
}

/** When a sweep looks at it, if not before. */
export function dueAt(otp: KnownOtp): number {
  if (otp.status === 'queued') return otp.sendDeadline;
  if (otp.status === 'sending') return otp.claim?.endsAt ?? 0;
  if (otp.status !== 'sent') return Number.POSITIVE_INFINITY;
  const isExhausted = otp.attempts >= otp.maxAttempts;
  return isExhausted ? Math.min(otp.expiresAt, Math.max(0, ...otp.leases.values())) : otp.expiresAt;
}

/** A worker asks for leave to call. */
export function claim(otp: KnownOtp, token: string, moment: Moment): 'claimed' | 'in_flight' | 'ended' {
  const { now, losses, rules } = moment;
  const isOwn = otp.status === 'sending' && otp.claim?.token === token;
  if (isOwn && otp.claim && now < otp.claim.endsAt) return 'claimed';
  tick(otp, moment);
  if (otp.status === 'queued' && otp.losses < losses) {
    otp.presumed += 1;
    countUnknown(otp, now, moment);
  }
  if (otp.status !== 'queued') return otp.status === 'sending' ? 'in_flight' : 'ended';
  if (!rules.durable && otp.unknownAt + lossWindowMs > now) return 'in_flight';
  become(otp, 'sending', now);
  otp.claims += 1;
  otp.claim = { token, attempt: otp.claims, at: now, endsAt: now + rules.sendLeaseMs };
  return 'claimed';
}

/** A worker writes down how its call ended; `held` is the OTP as the worker's claim knew it. */
export function settle(
  otp: KnownOtp,
  { claim, held, outcome }: { claim: Claim; held: KnownOtp; outcome: SendOutcome },
  moment: Moment,
): void {
  tick(otp, moment);
  if (takeUp(otp, claim, held) && outcome.kind === 'unknown') replacePresumed(otp, held);
  const isCurrent = otp.status === 'sending' && otp.claim?.token === claim.token;
  if (isCurrent) settleCurrent(otp, outcome, moment);
  else if (outcome.kind === 'accepted') acceptLate(otp, claim, moment.now);
  tick(otp, moment);
}

/** A claim that Redis forgot counts again, unless a newer one has been made since. */
function takeUp(otp: KnownOtp, claim: Claim, held: KnownOtp): boolean {
  const isUnclaimed =
    otp.status === 'queued' ||
    (otp.status === 'sending' && otp.losses <= held.losses && (otp.claim?.at ?? 0) <= claim.at);
  if (!isUnclaimed || claim.attempt <= otp.claims) return false;
  if (held.unknowns > otp.unknowns) otp.presumed = held.presumed;
  otp.unknowns = Math.max(otp.unknowns, held.unknowns);
  otp.retries = Math.max(otp.retries, held.retries);
  otp.mayHaveSent ||= held.mayHaveSent;
  otp.status = 'sending';
  otp.claims = claim.attempt;
  otp.claim = claim;
  return true;
}

/** The unknown that was presumed for this very claim is not counted beside its own. */
function replacePresumed(otp: KnownOtp, held: KnownOtp): void {
  if (otp.presumed === 0 || otp.losses <= held.losses) return;
  otp.unknowns -= 1;
  otp.presumed -= 1;
}

function settleCurrent(otp: KnownOtp, outcome: SendOutcome, moment: Moment): void {
  const { now, rules } = moment;
  if (outcome.kind === 'accepted' && otp.claim) becomeSent(otp, otp.claim, now);
  else if (outcome.kind === 'rejected') fail(otp, now);
  else if (outcome.kind === 'unknown') countUnknown(otp, now, moment);
  else if (otp.accepted) becomeSent(otp, otp.accepted, now);
  else {
    if (outcome.kind === 'unrecognised') otp.isRefused = true;
    if (outcome.kind === 'unsent' && spendsRetry(outcome.reason)) otp.retries += 1;
    if (otp.retries <= rules.maxSendRetries) become(otp, 'queued', now);
    else fail(otp, now);
  }
}

/** The newest success counts; one of before waits for how the running attempt ends. */
function acceptLate(otp: KnownOtp, claim: Claim, now: number): void {
  const isNewest = !otp.accepted || claim.attempt > otp.accepted.attempt;
  if (!isNewest) return;
  if (otp.status === 'sending') otp.accepted = claim;
  if (otp.status === 'queued' || otp.status === 'unknown' || otp.status === 'sent')
    becomeSent(otp, claim, now);
}

const refusals: Record<Exclude<Status, 'sent'>, string> = {
  ...{ queued: 'not_sent', sending: 'not_sent', verified: 'already_verified', cancelled: 'otp_cancelled' },
  ...{
    locked: 'attempts_exhausted',
    failed: 'not_verifiable',
    unknown: 'not_verifiable',
    expired: 'otp_expired',
  },
};

/** A verification attempt is counted before iSMS is asked. */
export function admitAttempt(otp: KnownOtp, token: string, { now, rules }: Moment): string {
  if (otp.status === 'expired' && !otp.accepted) return 'not_sent';
  if (otp.status !== 'sent') return refusals[otp.status];
  if (otp.attempts >= otp.maxAttempts) return 'verification_in_progress';
  otp.attempts += 1;
  otp.leases.set(token, now + rules.verifyLeaseMs);
  lockIfExhausted(otp, now);
  return 'admitted';
}

/** What iSMS said about a code is written down. */
export function settleAttempt(
  otp: KnownOtp,
  { token, outcome }: { token: string; outcome: VerifyOutcome['kind'] },
  moment: Moment,
): string {
  tick(otp, moment);
  const answer = outcome === 'correct' ? approve(otp, token, moment.now) : outcome;
  if (outcome === 'unsent' && otp.leases.has(token) && otp.status !== 'locked') otp.attempts -= 1;
  otp.leases.delete(token);
  if (otp.status === 'sent') lockIfExhausted(otp, moment.now);
  return answer === 'unsent' ? 'unavailable' : answer;
}

function approve(otp: KnownOtp, token: string, now: number): string {
  if (otp.verifiedBy === token) return 'verified';
  if ((otp.leases.get(token) ?? 0) <= now) return 'unavailable';
  if (otp.status === 'cancelled') return 'otp_cancelled';
  if (otp.status === 'verified') return 'already_verified';
  otp.verifiedBy = token;
  become(otp, 'verified', now);
  return 'verified';
}

/** An app cancels; what has ended stays as it is, but for an unknown one, which no late answer revives then. */
export function cancel(otp: KnownOtp, now: number): string {
  if (otp.status === 'verified') return 'already_verified';
  if (!hasEnded(otp) || otp.status === 'unknown') become(otp, 'cancelled', now);
  return 'cancelled';
}

import { setTimeout as sleep } from 'node:timers/promises';
import { isPending, type Otp, type OtpRequest } from '../../otp/otp.js';
import type { Quota, Refusal } from '../../otp/refusal.js';
import type { Read } from '../../producer/otp-request.js';
import type { Admission, Idempotency } from '../../store/admission.js';
import type { ApiDependencies } from '../dependencies.js';
import type { Answer } from '../http/answer.js';
import type { RequestContext, RequestEnd } from '../http/context.js';
import { ApiProblem, retryAfter } from '../http/problem.js';
import { otpView } from './otps.js';

type Sent = Exclude<Admission, { kind: 'refused' }>;

/** Send path of a single OTP, shared by the REST, iSMS and Twilio APIs. Throws the problem of a refusal. */
export function createSend({ store, enqueuer, metrics }: ApiDependencies) {
  return async (options: {
    request: OtpRequest;
    idempotency: Idempotency | null;
    /** How long to wait for the send; null: not at all. */
    waitSeconds: number | null;
    /** Ends the wait early; called only to wait. */
    abortSignal(): AbortSignal;
    context: Pick<RequestContext, 'otpId' | 'request'>;
    /** Called before the wait; must not reject. */
    onAccepted?: (otp: Otp) => Promise<void>;
  }): Promise<Sent> => {
    const { request, idempotency, waitSeconds, abortSignal, context, onAccepted } = options;
    context.request = request;
    const admission = await enqueuer.enqueue(request, idempotency);
    if (admission.kind === 'refused') throw problemOf(admission.refusal);
    const { otp } = admission;
    context.otpId = otp.id;
    if (admission.kind === 'created') metrics.accepted(request.app, 'single', [request]);
    await onAccepted?.(otp);
    if (waitSeconds === null) return admission;
    const find = () => store.otps.find(request.app, otp.id);
    const seen = await waitForSend(otp, { ms: waitSeconds * 1_000, signal: abortSignal(), find });
    return { ...admission, otp: seen };
  };
}

const firstPauseMs = 25;
const longestPauseMs = 250;

/**
 * Polls until the OTP is no longer `queued` or `sending`, the time is up or the signal aborts; resolves with the OTP as
 * last seen. A failed read does not fail the request: the OTP was accepted.
 */
async function waitForSend(
  otp: Otp,
  { ms, signal, find }: { ms: number; signal: AbortSignal; find(): Promise<Otp | null> },
): Promise<Otp> {
  const until = performance.now() + ms;
  let seen = otp;
  let pauseMs = firstPauseMs;
  while (isPending(seen.status) && !signal.aborted) {
    const leftMs = until - performance.now();
    if (leftMs <= 0) break;
    await sleep(Math.min(pauseMs, leftMs), undefined, { signal }).catch(() => {});
    seen = (await find().catch(() => null)) ?? seen;
    pauseMs = Math.min(pauseMs * 1.5, longestPauseMs);
  }
  return seen;
}

/** The answer to a send: 200 if it waited until the OTP left `queued` and `sending`, else 202. */
export function sentAnswer(sent: Sent, waitSeconds: number | null): Answer {
  const { kind, otp } = sent;
  return {
    status: waitSeconds !== null && !isPending(otp.status) ? 200 : 202,
    headers: {
      Location: `/v1/otps/${otp.id}`,
      ...(kind === 'replayed' && { 'Idempotent-Replayed': 'true' }),
      ...(waitSeconds !== null && { 'Preference-Applied': `wait=${waitSeconds}` }),
      ...(kind === 'created' && rateLimitHeaders(sent.quotas)),
    },
    body: otpView(otp),
  };
}

/** The request that was read; throws the problem of a rejected one. */
export function readable(read: Read): Extract<Read, { request: OtpRequest }> {
  if ('refusal' in read) throw problemOf(read.refusal);
  return read;
}

/** The problem of a refusal. */
export function problemOf({ code, message, errors, reason, retryAfterMs, quotas = [] }: Refusal): ApiProblem {
  return new ApiProblem(code, {
    detail: message,
    ...(errors && { errors }),
    ...(reason !== undefined && { reason }),
    headers: { ...(retryAfterMs !== undefined && retryAfter(retryAfterMs)), ...rateLimitHeaders(quotas) },
  });
}

const seconds = (ms: number) => Math.ceil(ms / 1_000);

/** The headers of draft-ietf-httpapi-ratelimit-headers, one item per active limit; none without limits. */
function rateLimitHeaders(quotas: readonly Quota[]): Record<string, string> {
  if (quotas.length === 0) return {};
  const list = (item: (quota: Quota) => string) => quotas.map(item).join(', ');
  return {
    'RateLimit-Policy': list(({ name, quota, windowMs }) => `"${name}";q=${quota};w=${seconds(windowMs)}`),
    RateLimit: list(({ name, remaining, resetMs }) => `"${name}";r=${remaining};t=${seconds(resetMs)}`),
  };
}

/** Counts rejected sends, as a route's `ended`. */
export function countRefusals({ metrics }: ApiDependencies) {
  return ({ app, problem, request }: RequestEnd): void => {
    if (problem !== null) metrics.rejected(app, 'single', { code: problem, request });
  };
}

import type { Otp, OtpRequest } from '../../otp/otp.js';
import type { Acceptance } from '../../producer/enqueue.js';
import type { Read } from '../../producer/otp-request.js';
import type { Refusal } from '../../producer/refusal.js';
import { ApiProblem, retryAfter } from '../http/problem.js';
import { rateLimitHeaders } from '../http/rate-limit.js';

/** The request that was read; throws the problem of one that could not be. */
export function readable(read: Read): Extract<Read, { request: OtpRequest }> {
  if ('refusal' in read) throw problemOf(read.refusal);
  return read;
}

/** The accepted OTP, with the headers that tell what is left of its limits; throws the problem of one that was refused. */
export function accepted(acceptance: Acceptance): {
  kind: 'accepted' | 'replayed';
  otp: Otp;
  limits: Record<string, string>;
} {
  switch (acceptance.kind) {
    case 'accepted':
      return { ...acceptance, limits: rateLimitHeaders(acceptance.quotas) };
    case 'replayed':
      return { ...acceptance, limits: {} };
    case 'refused':
      throw problemOf(acceptance.refusal);
  }
}

/** The problem that a refusal is answered with. */
export function problemOf({ code, message, errors, reason, retryAfterMs, quotas = [] }: Refusal): ApiProblem {
  return new ApiProblem(code, {
    detail: message,
    ...(errors && { errors }),
    ...(reason !== undefined && { reason }),
    headers: {
      ...(retryAfterMs !== undefined && retryAfter(retryAfterMs)),
      ...rateLimitHeaders(quotas),
    },
  });
}

import type { Admission, LimitKind, Quota, RangeDecision } from '../store/admission.js';
import { shownRange } from '../store/number-ranges.js';
import type { Logger } from './logger.js';
import { ApiProblem, retryAfter } from './problem.js';
import type { ProblemCode } from './problems.js';

const codes = {
  phone: 'phone_rate_limited',
  app: 'app_rate_limited',
  client_ip: 'client_ip_rate_limited',
} as const satisfies Record<LimitKind, ProblemCode>;

const seconds = (ms: number) => Math.ceil(ms / 1_000);

/** The fields of draft-ietf-httpapi-ratelimit-headers, an item per limit that is on; none when none is. */
export function rateLimitHeaders(quotas: readonly Quota[]): Record<string, string> {
  if (quotas.length === 0) return {};
  const list = (item: (quota: Quota) => string) => quotas.map(item).join(', ');
  return {
    'RateLimit-Policy': list(({ name, quota, windowMs }) => `"${name}";q=${quota};w=${seconds(windowMs)}`),
    RateLimit: list(({ name, remaining, resetMs }) => `"${name}";r=${remaining};t=${seconds(resetMs)}`),
  };
}

/** The problem of an OTP that a limit or the toll-fraud guard refused; `Retry-After` is when it would be taken. */
export function refusedByLimit(
  admission: Extract<Admission, { kind: 'limited' | 'range_blocked' }>,
): ApiProblem {
  const { kind, retryAfterMs } = admission;
  const code = kind === 'limited' ? codes[admission.by] : 'prefix_blocked';
  const quotas = kind === 'limited' ? admission.quotas : [];
  return new ApiProblem(code, {
    headers: { ...retryAfter(retryAfterMs), ...rateLimitHeaders(quotas) },
  });
}

/** Tells the operator what the guard decided. A range is the beginning of 10,000 numbers, never a whole one. */
export function logRangeDecisions(
  logger: Logger,
  app: string,
  ranges: readonly RangeDecision[],
  enforced: boolean,
): void {
  for (const { decision, range } of ranges) {
    logger.warn(
      { event: `fraud.range_${decision}`, app, range: shownRange(range), enforced },
      'a number range looks like SMS pumping: many OTPs, few verified',
    );
  }
}

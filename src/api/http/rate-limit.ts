import type { Quota } from '../../store/admission.js';

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

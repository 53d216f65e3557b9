/** The longest wait, in seconds; a client that prefers more gets this. */
export const longestWaitSeconds = 30;

/** A header longer than this is no preference of ours; parsing stays cheap whatever comes. */
const longestHeader = 200;

/** `token`, `token=word` or `token="word"`, then anything up to the next comma outside quotes (RFC 7240 §2). */
const preference = /^\s*([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"([^"\\]*)"|([\w!#$%&'*+.^`|~-]+)))?\s*(?:;.*)?$/;

/**
 * Seconds to wait by `Prefer: wait=…`, at most 30; null when nothing usable is preferred. As the RFC has it, the
 * first of several instances counts, and what cannot be understood is ignored.
 */
export function waitSeconds(header: string | undefined): number | null {
  if (header === undefined || header.length > longestHeader) return null;
  const preferences = header.match(/(?:"(?:[^"\\]|\\.)*"|[^",])+/g) ?? [];
  const wait = preferences.map((text) => preference.exec(text)).find((m) => m?.[1]?.toLowerCase() === 'wait');
  const value = wait?.[2] ?? wait?.[3] ?? '';
  return /^\d+$/.test(value) ? Math.min(Number(value), longestWaitSeconds) : null;
}

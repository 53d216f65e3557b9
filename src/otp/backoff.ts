const baseMs = 1_000;
const capMs = 60_000;

/**
 * Milliseconds to wait before the next call: exponential with full jitter, so that a crowd of failed sends does
 * not come back as a crowd, and never past the OTP's own deadline (`remainingMs`), so that the last retry still
 * has a chance. `tries` counts the calls before this one, from 1.
 */
export function backoffMs(tries: number, remainingMs: number): number {
  const ceiling = Math.min(capMs, baseMs * 2 ** (tries - 1), Math.max(0, remainingMs));
  return Math.floor(Math.random() * ceiling);
}

import { type Dispatcher, errors, request } from 'undici';
import type { UnknownReason, UnsentReason } from '../otp/outcome.js';
import type { SendWindow } from '../otp/provider.js';
import { createFence, type Fence } from './fence.js';

/**
 * What became of one GET. `unsent`: proven not to have left, or turned away unprocessed. `lost`: it left and
 * nothing usable came back. `reply`: a whole body came back; `ok` is true for a 2xx status.
 */
export type Exchange =
  | { kind: 'unsent'; reason: UnsentReason }
  | { kind: 'lost'; reason: UnknownReason }
  | { kind: 'reply'; ok: boolean; text: string };

/**
 * Puts at most one GET on the wire and waits for the whole reply, until `window.endBy`. Never rejects: errors
 * of the HTTP client hold URLs and sockets, so they end here.
 */
export async function exchange(dispatcher: Dispatcher, url: URL, window: SendWindow): Promise<Exchange> {
  const fence = createFence(window.leaveBy);
  const aborter = new AbortController();
  const deadline = startDeadline(window.endBy, fence, aborter);
  try {
    return await Promise.race([
      attempt(dispatcher.compose(fence.guard), url, fence, aborter.signal),
      deadline.passed,
    ]);
  } finally {
    deadline.clear();
  }
}

/**
 * Ends the wait by itself, because undici cannot abort a request that still queues for a connection. The
 * fence is shut, so that a request left behind in that queue never goes out.
 */
function startDeadline(endBy: number, fence: Fence, aborter: AbortController) {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<Exchange>((resolve) => {
    timer = setTimeout(() => {
      fence.shut();
      resolve(fence.left ? { kind: 'lost', reason: 'timeout' } : unsent(fence));
      aborter.abort();
    }, endBy - performance.now());
  });
  return { passed, clear: () => clearTimeout(timer) };
}

function unsent(fence: Fence): Exchange {
  return { kind: 'unsent', reason: fence.unsentReason };
}

async function attempt(
  dispatcher: Dispatcher,
  url: URL,
  fence: Fence,
  signal: AbortSignal,
): Promise<Exchange> {
  try {
    const { statusCode, body } = await request(url, { method: 'GET', dispatcher, signal });
    const verdict = judgeStatus(statusCode);
    if (verdict === null) return { kind: 'reply', ok: statusCode < 300, text: await body.text() };
    body.on('error', () => undefined).destroy();
    return verdict;
  } catch (error) {
    return fence.left ? { kind: 'lost', reason: lostReason(error) } : unsent(fence);
  }
}

/** The statuses that decide by themselves; null where the body has to. */
function judgeStatus(status: number): Exchange | null {
  if (status === 429) return { kind: 'unsent', reason: 'too_many_requests' };
  if (status >= 500) return { kind: 'lost', reason: 'server_error' };
  if (status >= 300 && status < 400) return { kind: 'lost', reason: 'redirect' };
  return null;
}

function lostReason(error: unknown): UnknownReason {
  if (error instanceof errors.ResponseExceededMaxSizeError) return 'reply_too_large';
  if (error instanceof errors.HeadersOverflowError) return 'reply_too_large';
  const cutOff = 'HPE_INVALID_EOF_STATE';
  if (error instanceof errors.HTTPParserError && error.code !== cutOff) return 'reply_wrong_shape';
  return 'connection_lost';
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import { startTimeout } from '../../lib/with-timeout.js';

const deadlines = new WeakMap<IncomingMessage, () => void>();

/** Calls `late` unless the whole request has arrived within `ms`, or it may take its time. */
export function beginBodyDeadline(req: IncomingMessage, ms: number, late: () => void): void {
  const stop = startTimeout(ms, () => {
    if (!req.complete) late();
  });
  deadlines.set(req, stop);
  req.once('end', stop).once('close', stop);
}

/**
 * How long an upload may be silent, in either direction: one that is slowed to its app's limit says nothing for as long
 * as 200 of its lines take.
 */
const uploadSilenceMs = 600_000;

/** For a large body of a known app: from now on only a long silence ends it, until it is answered. */
export function allowSlowBody(req: IncomingMessage, res: ServerResponse): void {
  deadlines.get(req)?.();
  const { socket } = req;
  const usual = socket.timeout ?? 0;
  socket.setTimeout(uploadSilenceMs);
  res.once('close', () => socket.setTimeout(usual));
}

import type { IncomingMessage } from 'node:http';

const deadlines = new WeakMap<IncomingMessage, NodeJS.Timeout>();

/** Calls `late` unless the whole request has arrived within `ms`, or it may take its time. */
export function beginBodyDeadline(req: IncomingMessage, ms: number, late: () => void): void {
  const timer = setTimeout(late, ms).unref();
  deadlines.set(req, timer);
  const clear = () => clearTimeout(timer);
  req.once('end', clear).once('close', clear);
}

/** For a large body of a known app: from now on only silence ends it. */
export function takesItsTime(req: IncomingMessage): void {
  clearTimeout(deadlines.get(req));
}

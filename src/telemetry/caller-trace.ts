import type { IncomingHttpHeaders } from 'node:http';

let isKnown: (authorization: string) => boolean = () => false;

/** Continues a caller's trace only where its `Authorization` is known. */
export function continueTracesOf(known: (authorization: string) => boolean): void {
  isKnown = known;
}

/**
 * Takes the trace context out of a request that presents no known `Authorization`: a stranger could put spans into a
 * trace that is not theirs, and decide that all of them are kept.
 */
export function dropForeignTrace(headers: IncomingHttpHeaders): void {
  if (headers['traceparent'] === undefined || isKnown(headers.authorization ?? '')) return;
  delete headers['traceparent'];
  delete headers['tracestate'];
}

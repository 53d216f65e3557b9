import { TimedOut } from '../lib/with-timeout.js';
import { type Refusal, refuse } from '../otp/refusal.js';

const systemErrors =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN)$/;
/** Messages of ioredis and BullMQ without a usable connection. */
const noConnection =
  /^(Connection is |Stream isn't writeable|Socket closed|Socket timeout|connect ETIMEDOUT|Cluster is|None of startup nodes|Failed to refresh slots|Too many Cluster redirections|Node is disconnected)/;
/** Replies of a Redis that cannot serve now; errors of scripts quote them in older versions. */
const refusals =
  /(?:^|-)(OOM|READONLY|LOADING|BUSY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOAUTH|WRONGPASS)\b/;

/**
 * Deadline of a request for one call of the store or a queue. BullMQ itself waits forever for a Redis that was down at
 * the start.
 */
export const redisDeadlineMs = 2_000;

/** A stable word for trouble with Redis, or null for any other error. */
export function redisTrouble(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  if (error instanceof TimedOut) return 'deadline';
  if (error.message === 'Command timed out') return 'command_timeout';
  const unconnected = error.name === 'MaxRetriesPerRequestError' || noConnection.test(error.message);
  if (unconnected || ('code' in error && systemErrors.test(String(error.code)))) return 'connection';
  return refusals.exec(error.message)?.[1]?.toLowerCase() ?? null;
}

/** The refusal for trouble with Redis; throws any other error. */
export function refuseUnavailable(error: unknown): Refusal {
  const reason = redisTrouble(error);
  if (reason === null) throw error;
  return refuse('queue_unavailable', { reason });
}

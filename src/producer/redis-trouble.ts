const systemErrors =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN)$/;
/** What ioredis and BullMQ say, word for word, when there is no usable connection. */
const noConnection =
  /^(Connection is |Stream isn't writeable|Socket closed|connect ETIMEDOUT|Cluster is|None of startup nodes|Failed to refresh slots|Too many Cluster redirections|Node is disconnected)/;
/** Replies by which Redis says that it cannot serve now; a script's error quotes them in older versions. */
const refusals =
  /(?:^|-)(OOM|READONLY|LOADING|BUSY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOAUTH|WRONGPASS)\b/;

/** How long one call to Redis may take, in ms. BullMQ waits forever for a Redis that was down at the start. */
export const redisDeadlineMs = 2_000;

/** Redis did not answer in time. What was asked may have happened all the same. */
export class RedisLate extends Error {
  override readonly name = 'RedisLate';
}

/** The call's result, or a rejection with RedisLate once `deadlineMs` are over. */
export async function timely<T>(call: Promise<T>, deadlineMs: number = redisDeadlineMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new RedisLate()), deadlineMs);
  });
  return await Promise.race([call, late]).finally(() => clearTimeout(timer));
}

/** A stable word for why Redis could not serve, or null when the error is about something else. */
export function redisTrouble(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  if (error instanceof RedisLate) return 'deadline';
  if (error.message === 'Command timed out') return 'command_timeout';
  const unconnected = error.name === 'MaxRetriesPerRequestError' || noConnection.test(error.message);
  if (unconnected || ('code' in error && systemErrors.test(String(error.code)))) return 'connection';
  return refusals.exec(error.message)?.[1]?.toLowerCase() ?? null;
}

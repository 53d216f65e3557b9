import { OtpError } from './errors.js';

/** A time-out, and the caller's signal. */
export interface Limit {
  ms: number;
  signal: AbortSignal | undefined;
}

/**
 * Runs `work` with a signal that aborts at the time-out or with the caller's signal; rejects then with an OtpError
 * `timeout`, or with the reason of the caller's signal.
 */
export async function limited<T>(
  { ms, signal }: Limit,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const late = new OtpError({ code: 'timeout', detail: 'The gateway did not answer in time.' });
  const timer = setTimeout(() => controller.abort(late), ms);
  const abort = () => controller.abort(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await work(controller.signal);
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** A signal that aborts after a silence, with the caller's signal, or by `abort`. */
export interface SilenceWatch {
  signal: AbortSignal;
  heard(): void;
  abort(reason?: unknown): void;
  /** Stops the timer. */
  end(): void;
}

/** Starts the timer; throws the reason of a signal that has already aborted. */
export function watchSilence({ ms, signal }: Limit): SilenceWatch {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const abort = (reason: unknown) => controller.abort(reason);
  const silent = () =>
    abort(new OtpError({ code: 'timeout', detail: 'The upload was silent for too long.' }));
  const abortWithCaller = () => abort(signal?.reason);
  signal?.addEventListener('abort', abortWithCaller, { once: true });
  let timer = setTimeout(silent, ms);
  return {
    signal: controller.signal,
    abort,
    heard: () => {
      clearTimeout(timer);
      timer = setTimeout(silent, ms);
    },
    end: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abortWithCaller);
    },
  };
}

/** Waits; rejects with the reason of the signal when that aborts. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}

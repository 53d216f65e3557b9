import { OtpError } from './errors.js';

/** How long something may take, and who may end it before. */
export interface Limit {
  ms: number;
  signal: AbortSignal | undefined;
}

/**
 * What `work` resolves with. Once the time is up or the caller aborts, the signal given to `work` aborts, and it rejects
 * with an OtpError `timeout`, or with the reason of the caller's signal.
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

/** A signal that aborts when nothing was heard for so long, or the caller's aborts, or somebody aborts it. */
export interface SilenceWatch {
  signal: AbortSignal;
  heard(): void;
  abort(reason?: unknown): void;
  /** To be called at the end: until then a timer runs. */
  end(): void;
}

/** Begins to listen; throws the reason of a signal that has aborted already. */
export function watchSilence({ ms, signal }: Limit): SilenceWatch {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const abort = (reason: unknown) => controller.abort(reason);
  const silent = () => abort(new OtpError({ code: 'timeout', detail: 'Nothing was heard for too long.' }));
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

/** Resolves after so many milliseconds; rejects with the reason of the signal as soon as that aborts. */
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

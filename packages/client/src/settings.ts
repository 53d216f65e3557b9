/** Options of an `OtpClient`. */
export interface OtpClientOptions {
  /** Address of the gateway, such as `https://otp.example`; may have a path before `/v1`. */
  baseUrl: string;
  /** API key of your app, from the operator. */
  apiKey: string;
  /** Time-out of a call in milliseconds, retries included. Default: 10,000; of verifications: 15,000. */
  timeoutMs?: number;
  /** How often a failed call is retried where that is safe. Default: 2. */
  retries?: number;
  /** Function that makes requests. Default: the runtime's `fetch`. */
  fetch?: typeof fetch;
}

/** The options, checked and completed. */
export interface Settings {
  /** Ends without a slash. */
  baseUrl: string;
  authorization: string;
  timeoutMs: number;
  /** Longer than the gateway waits for iSMS. */
  verifyTimeoutMs: number;
  retries: number;
  fetch: typeof fetch;
}

const defaults = { timeoutMs: 10_000, verifyTimeoutMs: 15_000, retries: 2 };
const longestTimerMs = 2 ** 31 - 1;

/** Checks the options and adds defaults; throws a TypeError that does not quote the value. */
export function settingsOf(options: OtpClientOptions): Settings {
  const { baseUrl, apiKey, timeoutMs = defaults.timeoutMs, retries = defaults.retries } = options;
  if (apiKey === '') {
    throw new TypeError('apiKey is empty; pass the key of your app (npm start of the gateway prints one)');
  }
  if (typeof apiKey !== 'string' || !/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new TypeError('apiKey must be visible ASCII characters, no spaces');
  }
  if (!Number.isInteger(retries) || retries < 0) {
    throw new TypeError('retries must be a whole number, at least 0');
  }
  return {
    baseUrl: checkedUrl(baseUrl),
    authorization: `Bearer ${apiKey}`,
    timeoutMs: checkedTimeoutMs(timeoutMs),
    verifyTimeoutMs: options.timeoutMs ?? defaults.verifyTimeoutMs,
    retries,
    // Browsers reject a fetch that is called as a method of another object.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
  };
}

/** Throws a TypeError for milliseconds that a timer cannot count. */
export function checkedTimeoutMs(ms: number): number {
  if (ms > 0 && ms <= longestTimerMs) return ms;
  throw new TypeError(`timeouts must be more than 0 ms and at most ${longestTimerMs} ms`);
}

function checkedUrl(text: string): string {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('baseUrl must be an http or https URL, such as https://otp.example');
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new TypeError('baseUrl must have no login, no query and no fragment');
  }
  return url.href.replace(/\/+$/, '');
}

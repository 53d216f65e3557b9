/** How to reach a gateway. */
export interface OtpClientOptions {
  /** Where the gateway is, such as `https://otp.example`; may have a path in front of `/v1`. */
  baseUrl: string;
  /** Key of your app, from the operator. */
  apiKey: string;
  /** How long a call may take, all its tries and the pauses between them included, in ms. Default: 10,000. */
  timeoutMs?: number;
  /** How often a call is tried again where that is safe. Default: 2. */
  retries?: number;
  /** Default: the runtime's own. */
  fetch?: typeof fetch;
}

/** The options, checked and completed. */
export interface Settings {
  /** Ends without a slash. */
  baseUrl: string;
  authorization: string;
  timeoutMs: number;
  /** Of a verification: longer than the gateway itself waits for iSMS, whose answer it is about. */
  verifyTimeoutMs: number;
  retries: number;
  fetch: typeof fetch;
}

const defaults = { timeoutMs: 10_000, verifyTimeoutMs: 15_000, retries: 2 };
const longestTimerMs = 2 ** 31 - 1;

/** The settings that options mean; throws a TypeError that says what is wrong, without quoting it. */
export function settingsOf(options: OtpClientOptions): Settings {
  const { baseUrl, apiKey, timeoutMs = defaults.timeoutMs, retries = defaults.retries } = options;
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
    // Runtimes refuse a fetch that is called as a member of something else.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
  };
}

/** Milliseconds that a timer can count; throws a TypeError for others. */
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

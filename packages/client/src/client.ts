import {
  type CallOptions,
  callFacts,
  inPath,
  type KeyedOptions,
  keyedFacts,
  query,
  type ResendOptions,
  type SendOptions,
  sendFacts,
  type VerifyOptions,
} from './calls.js';
import {
  balancePages,
  batchesPages,
  batchPages,
  type HistoryOptions,
  type ListBatchesOptions,
  type ListBatchOptions,
  type ListOtpsOptions,
  otpsPages,
  type StatsOptions,
  timeText,
} from './pages.js';
import {
  type Caller,
  createCaller,
  holdsList,
  isBalance,
  isBatch,
  isNothing,
  isOtp,
  isVerified,
} from './request.js';
import { type OtpClientOptions, type Settings, settingsOf } from './settings.js';
import type {
  Balance,
  BalanceSnapshot,
  Batch,
  BatchChange,
  BatchOtp,
  NumberVerification,
  Otp,
  OtpInput,
  Stats,
  UploadSummary,
  Verified,
} from './types.js';
import { sendMany } from './upload.js';
import type { UploadInputs, UploadOptions } from './upload-options.js';
import { type WaitOptions, waitUntilSent } from './wait.js';

/**
 * Calls one gateway with the key of one app. Methods reject with an `OtpError`, whose `code` names the problem, with the
 * reason of an aborted `signal`, or with a `TypeError` for an invalid argument. Failed calls are retried only where that
 * cannot send twice.
 */
export class OtpClient {
  readonly #settings: Settings;
  readonly #call: Caller;

  /** Throws a `TypeError` for an invalid option. Does not connect yet. */
  constructor(options: OtpClientOptions) {
    this.#settings = settingsOf(options);
    this.#call = createCaller(this.#settings);
  }

  /**
   * Sends an OTP. Resolves when it is accepted or, with `waitSeconds`, when it was sent or has failed: read `status`.
   * Retries never send it twice. Errors: `invalid_request`, `invalid_phone_number`, `country_not_allowed`,
   * `message_not_allowed`, `recipient_rate_limited`, `client_ip_rate_limited`, `limit_key_rate_limited`, `range_blocked`,
   * `recipient_locked`, `sending_paused`, `overloaded`, …
   */
  async send(input: OtpInput, options: SendOptions = {}): Promise<Otp> {
    const facts = { path: '/v1/otps', body: input, ...sendFacts(options) };
    return await this.#call({ method: 'POST', rule: 'repeatable', ...facts }, isOtp);
  }

  /**
   * Sends an OTP's message to its number again, as a new OTP with its own id and code; the earlier code becomes invalid.
   * Errors: those of `send`, `otp_not_found`, `already_verified`.
   */
  async resend(id: string, { clientIp, ...options }: ResendOptions = {}): Promise<Otp> {
    const path = `/v1/otps/${inPath(id)}/resend`;
    const body = clientIp === undefined ? {} : { body: { clientIp } };
    return await this.#call(
      { method: 'POST', path, rule: 'repeatable', ...body, ...sendFacts(options) },
      isOtp,
    );
  }

  /** Reads an OTP. Error: `otp_not_found`, also after its retention. */
  async get(id: string, options: CallOptions = {}): Promise<Otp> {
    return await this.#call(reading(`/v1/otps/${inPath(id)}`, options), isOtp);
  }

  /**
   * Lists the app's OTPs that are still kept, newest first, page by page. A page reads 2,000 OTPs at most, so with a filter
   * that few pass, many pages may come before the next OTP. Error: `batch_not_found`.
   */
  listOtps(options: ListOtpsOptions = {}): AsyncIterable<Otp> {
    return otpsPages(this.#call, options);
  }

  /** Lists the OTPs with this reference of yours, newest first, at most 100. */
  async findByReference(reference: string, options: CallOptions = {}): Promise<Otp[]> {
    const call = reading(`/v1/otps${query({ reference })}`, options);
    return (await this.#call<{ otps: Otp[] }>(call, holdsList('otps'))).otps;
  }

  /**
   * Verifies a code. Resolves only if this call verified the OTP. Errors: `incorrect_code` and `binding_mismatch` with
   * `attemptsRemaining`, `otp_not_found`, `already_verified`, `not_sent`, `not_verifiable`, `verification_in_progress`, `otp_expired`,
   * `otp_cancelled`, `attempts_exhausted`, `recipient_locked`, and `provider_unavailable` if iSMS did not answer.
   *
   * Retried once after `network_error` and `queue_unavailable`: a correct code whose answer was lost then still succeeds,
   * but a wrong one may cost a second attempt. `retries: 0` turns that off. After a `timeout`, call again within 60 s with
   * the error's `idempotencyKey`: a correct code still succeeds. Default time-out: 15 s, since the gateway waits up to
   * 10 s for iSMS.
   */
  async verify(id: string, code: string, { binding, ...options }: VerifyOptions = {}): Promise<Verified> {
    const body = binding === undefined ? { code } : { code, binding };
    const facts = { path: `/v1/otps/${inPath(id)}/verify`, body, ...keyedFacts(options) };
    return await this.#call({ method: 'POST', rule: 'verification', ...facts }, isVerified);
  }

  /** Verifies a code of the newest OTP of a number and purpose, as `verify` does. Also: `invalid_phone_number`. */
  async verifyByNumber(verification: NumberVerification, options: KeyedOptions = {}): Promise<Verified> {
    const facts = { path: '/v1/verify', body: verification, ...keyedFacts(options) };
    return await this.#call({ method: 'POST', rule: 'verification', ...facts }, isVerified);
  }

  /** Cancels an OTP: it is not sent, and a code already sent becomes invalid. Errors: `otp_not_found`, `already_verified`. */
  async cancel(id: string, options: CallOptions = {}): Promise<void> {
    await this.#call(cancelling(`/v1/otps/${inPath(id)}`, options), isNothing);
  }

  /**
   * Polls an OTP until it is neither `queued` nor `sending`, after 250 ms first and every 2 s at most; read `status`.
   * Temporary errors (`network_error`, `queue_unavailable`, …) do not end it. Errors: `OtpTimeout` after `timeoutMs`, with
   * the OTP as last read; `otp_not_found`.
   */
  async waitUntilSent(id: string, options: WaitOptions = {}): Promise<Otp> {
    const look = (leftMs: number) => {
      const timeoutMs = Math.min(leftMs, this.#settings.timeoutMs);
      return this.get(id, { ...options, timeoutMs });
    };
    return await waitUntilSent(look, options);
  }

  /**
   * Uploads any number of OTPs as one batch. They are read from `inputs` as they are sent, and `onResult` gets the result
   * of each; an invalid one does not affect the others. An upload that breaks off is retried under its key if `inputs` is
   * an array, or a function that returns the same OTPs each time; otherwise, and after the last retry, it rejects with
   * `OtpUploadBroken`. Errors: `batch_cancelled`, `too_many_batches`. Needs a runtime whose `fetch` streams request
   * bodies: Node, Deno, Bun, Workers, and browsers over HTTP/2.
   */
  async sendMany(inputs: UploadInputs, options: UploadOptions = {}): Promise<UploadSummary> {
    return await sendMany(this.#settings, inputs, options);
  }

  /** Lists the app's batches, newest first, page by page; those without an accepted OTP are missing. */
  listBatches(options: ListBatchesOptions = {}): AsyncIterable<Batch> {
    return batchesPages(this.#call, options);
  }

  /** Reads a batch: its progress, and its accepted OTPs counted by status. Error: `batch_not_found`. */
  async getBatch(id: string, options: CallOptions = {}): Promise<Batch> {
    return await this.#call(reading(`/v1/batches/${inPath(id)}`, options), isBatch);
  }

  /** Lists the accepted OTPs of a batch in the order of the upload, page by page. Error: `batch_not_found`. */
  listBatch(id: string, options: ListBatchOptions = {}): AsyncIterable<BatchOtp> {
    return batchPages(this.#call, `/v1/batches/${inPath(id)}/otps`, options);
  }

  /**
   * Pauses or resumes a batch, or changes its pace or start. Errors: `batch_not_found`, `batch_ended`, `batch_started` for
   * another start, `invalid_request`.
   */
  async changeBatch(id: string, change: BatchChange, options: CallOptions = {}): Promise<Batch> {
    const body = { ...change, startAt: timeText(change.startAt) };
    const call = {
      path: `/v1/batches/${inPath(id)}`,
      rule: 'repeatable',
      body,
      ...callFacts(options),
    } as const;
    return await this.#call({ method: 'PATCH', ...call }, isBatch);
  }

  /** Cancels what a batch has not sent, and closes it; codes already sent stay valid. Error: `batch_not_found`. */
  async cancelBatch(id: string, options: CallOptions = {}): Promise<void> {
    await this.#call(cancelling(`/v1/batches/${inPath(id)}`, options), isNothing);
  }

  /** Reads the latest known balance of the iSMS account; `refresh` asks iSMS now. Error: `balance_unavailable`. */
  async balance({ refresh, ...options }: CallOptions & { refresh?: boolean } = {}): Promise<Balance> {
    return await this.#call(reading(`/v1/balance${query({ refresh })}`, options), isBalance);
  }

  /** Lists past balances of up to 90 days, newest first, page by page. */
  balanceHistory(options: HistoryOptions = {}): AsyncIterable<BalanceSnapshot> {
    return balancePages(this.#call, '/v1/balance/history', options);
  }

  /** Reads the app's statistics by time and group. Error: `invalid_request` for a time that is no longer kept. */
  async stats({ by, since, until, step, ...options }: StatsOptions = {}): Promise<Stats> {
    const asked = query({ by, since: timeText(since), until: timeText(until), step });
    return await this.#call(reading(`/v1/stats${asked}`, options), holdsList('rows'));
  }
}

function reading(path: string, options: CallOptions) {
  return { method: 'GET', path, rule: 'repeatable', ...callFacts(options) } as const;
}

function cancelling(path: string, options: CallOptions) {
  return { method: 'DELETE', path, rule: 'repeatable', ...callFacts(options) } as const;
}

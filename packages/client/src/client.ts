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
} from './calls.js';
import { holdsList, isBalance, isBatch, isNothing, isOtp, isVerified } from './checks.js';
import { balancePages, batchPages, type HistoryOptions, type ListOptions } from './pages.js';
import { type Caller, createCaller } from './request.js';
import { type OtpClientOptions, type Settings, settingsOf } from './settings.js';
import type {
  Balance,
  BalanceSnapshot,
  Batch,
  BatchOtp,
  NumberVerification,
  Otp,
  OtpInput,
  UploadSummary,
  Verified,
} from './types.js';
import { sendMany } from './upload.js';
import type { UploadInputs, UploadOptions } from './upload-options.js';
import { type WaitOptions, waitUntilSent } from './wait.js';

/**
 * A client of one app of one gateway. Every method rejects with an OtpError, whose `code` says what went wrong, or with
 * the reason of `signal` once that aborts; a TypeError says that an argument can be none. Failed calls are tried again
 * only where that doubles nothing.
 */
export class OtpClient {
  readonly #settings: Settings;
  readonly #call: Caller;

  /** Throws a TypeError when the URL, the key or a number is none. Connects to nothing yet. */
  constructor(options: OtpClientOptions) {
    this.#settings = settingsOf(options);
    this.#call = createCaller(this.#settings);
  }

  /**
   * Sends an OTP: resolves as soon as it is accepted, or, with `waitSeconds`, when it was sent or has failed: read
   * `status`. Never sends twice, however often it is tried. Refusals: `invalid_request`, `invalid_phone_number`,
   * `country_not_allowed`, `message_not_allowed`, `phone_rate_limited`, `client_ip_rate_limited`, `range_blocked`,
   * `phone_locked`, `sending_paused`, `overloaded`, …
   */
  async send(input: OtpInput, options: SendOptions = {}): Promise<Otp> {
    const facts = { path: '/v1/otps', body: input, ...sendFacts(options) };
    return await this.#call({ method: 'POST', rule: 'repeatable', ...facts }, isOtp);
  }

  /**
   * Sends an OTP's message to its number again, as a new OTP with an id and a code of its own; the earlier code does not
   * count any more. As `send`; also `otp_not_found`, `already_verified`.
   */
  async resend(id: string, { clientIp, ...options }: ResendOptions = {}): Promise<Otp> {
    const path = `/v1/otps/${inPath(id)}/resend`;
    const body = clientIp === undefined ? {} : { body: { clientIp } };
    return await this.#call(
      { method: 'POST', path, rule: 'repeatable', ...body, ...sendFacts(options) },
      isOtp,
    );
  }

  /** The OTP as it is now. `otp_not_found` when there is none, or not any more. */
  async get(id: string, options: CallOptions = {}): Promise<Otp> {
    return await this.#call(reading(`/v1/otps/${inPath(id)}`, options), isOtp);
  }

  /** The OTPs with this reference of yours, the newest first, at most 100; none is no error. */
  async findByReference(reference: string, options: CallOptions = {}): Promise<Otp[]> {
    const call = reading(`/v1/otps${query({ reference })}`, options);
    return (await this.#call<{ otps: Otp[] }>(call, holdsList('otps'))).otps;
  }

  /**
   * Verifies a code: resolves only when this very call verified the OTP. `incorrect_code` with `attemptsRemaining`;
   * `otp_not_found`, `already_verified`, `not_sent`, `not_verifiable`, `verification_in_progress`, `otp_expired`,
   * `otp_cancelled`, `attempts_exhausted`, `phone_locked`; `provider_unavailable` when iSMS did not answer.
   *
   * Tried again once, when no answer came or Redis did not serve (`network_error`, `queue_unavailable`): a right code
   * whose answer got lost is then still right, but a wrong one may spend a second attempt. `retries: 0` turns that off.
   * After a `timeout` call again with the error's `idempotencyKey` within 60 s: a code that was right is then still right.
   * Default time-out: 15 s, since the gateway waits for iSMS for 10 (`ISMS_VERIFY_TIMEOUT_MS`).
   */
  async verify(id: string, code: string, options: KeyedOptions = {}): Promise<Verified> {
    const facts = { path: `/v1/otps/${inPath(id)}/verify`, body: { code }, ...keyedFacts(options) };
    return await this.#call({ method: 'POST', rule: 'verification', ...facts }, isVerified);
  }

  /** The same for the newest OTP of a number and purpose, for apps that keep no id. Also `invalid_phone_number`. */
  async verifyByNumber(verification: NumberVerification, options: KeyedOptions = {}): Promise<Verified> {
    const facts = { path: '/v1/verify', body: verification, ...keyedFacts(options) };
    return await this.#call({ method: 'POST', rule: 'verification', ...facts }, isVerified);
  }

  /** Takes an OTP out of the queue; a code already sent counts no more. `otp_not_found`, `already_verified`. */
  async cancel(id: string, options: CallOptions = {}): Promise<void> {
    await this.#call(cancelling(`/v1/otps/${inPath(id)}`, options), isNothing);
  }

  /**
   * The OTP once it has left `queued` and `sending`; read `status`. Looks after 250 ms, and with pauses of up to 2 s from
   * then on; what passes by itself (`network_error`, `queue_unavailable`, …) is waited out. Rejects with an OtpTimeout,
   * which holds the OTP last seen, when `timeoutMs` (default: 30,000) are over, and with `otp_not_found`.
   */
  async waitUntilSent(id: string, options: WaitOptions = {}): Promise<Otp> {
    const look = (leftMs: number) => {
      const timeoutMs = Math.min(leftMs, this.#settings.timeoutMs);
      return this.get(id, { ...options, timeoutMs });
    };
    return await waitUntilSent(look, options);
  }

  /**
   * Sends many OTPs as one batch, however many: they are read from `inputs` as they go out, and each is answered to
   * `onResult`, once. One bad OTP spoils no other. An upload that breaks off is sent again under its key when `inputs` is
   * an array, or a function that gives the same OTPs each time; otherwise, and when `retries` are used up, it rejects with
   * an OtpUploadBroken. `batch_cancelled` when the key's batch was cancelled. Needs a runtime whose fetch streams request
   * bodies (`duplex: 'half'`: Node, Deno, Bun, Workers; no browser over HTTP/1.1).
   */
  async sendMany(inputs: UploadInputs, options: UploadOptions = {}): Promise<UploadSummary> {
    return await sendMany(this.#settings, inputs, options);
  }

  /** A batch, its accepted OTPs counted by status. `batch_not_found`. */
  async getBatch(id: string, options: CallOptions = {}): Promise<Batch> {
    return await this.#call(reading(`/v1/batches/${inPath(id)}`, options), isBatch);
  }

  /** The accepted OTPs of a batch as they are now, in the order of the upload, asked for page by page. `batch_not_found`. */
  listBatch(id: string, options: ListOptions = {}): AsyncIterable<BatchOtp> {
    return batchPages(this.#call, `/v1/batches/${inPath(id)}/otps`, options);
  }

  /** Nothing of the batch is sent any more, nothing can be added; codes already sent still count. `batch_not_found`. */
  async cancelBatch(id: string, options: CallOptions = {}): Promise<void> {
    await this.#call(cancelling(`/v1/batches/${inPath(id)}`, options), isNothing);
  }

  /** Credits of the iSMS account by the latest snapshot; `refresh` asks iSMS now. `balance_unavailable`. */
  async balance({ refresh, ...options }: CallOptions & { refresh?: boolean } = {}): Promise<Balance> {
    return await this.#call(reading(`/v1/balance${query({ refresh })}`, options), isBalance);
  }

  /** Past balances, the newest first, asked for page by page: from `since` on, before `until`. Kept for 90 days. */
  balanceHistory(options: HistoryOptions = {}): AsyncIterable<BalanceSnapshot> {
    return balancePages(this.#call, '/v1/balance/history', options);
  }
}

function reading(path: string, options: CallOptions) {
  return { method: 'GET', path, rule: 'repeatable', ...callFacts(options) } as const;
}

function cancelling(path: string, options: CallOptions) {
  return { method: 'DELETE', path, rule: 'repeatable', ...callFacts(options) } as const;
}

<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Http;
use IsmsOtp\Internal\Json;
use IsmsOtp\Internal\Request;
use IsmsOtp\Internal\Settings;
use IsmsOtp\Internal\Upload;

/**
 * Calls one gateway with the key of one app. Methods throw an OtpError, whose `code` names the problem, or an
 * InvalidArgumentException for an invalid argument.
 *
 * Retries never send twice. A verification is retried once, after `network_error` or `queue_unavailable`; a wrong code may
 * then cost two attempts.
 *
 * Options that many methods have:
 * - `idempotencyKey`: 1 to 255 visible ASCII characters that identify this request, such as the id of your record:
 *   repeated with the same key, it takes effect once. Default: a new key for each call, used by all its retries. `cancel`,
 *   `changeBatch` and `cancelBatch` need none: a repeated one changes nothing more.
 * - `waitSeconds`: how long to wait until the OTP is sent or has failed, in whole seconds, 0 to 30; added to the time-out.
 * - `timeoutMs`: time-out of the call in milliseconds, retries included, in place of the client's.
 *
 * @phpstan-type OtpInput array{
 *     to: string,
 *     message?: string|null,
 *     template?: string|null,
 *     locale?: string|null,
 *     variables?: array<string, string>|null,
 *     purpose?: string|null,
 *     senderId?: string|null,
 *     ttlSeconds?: int|null,
 *     sendDeadlineSeconds?: int|null,
 *     maxAttempts?: int|null,
 *     reference?: string|null,
 *     clientIp?: string|null,
 *     limitKeys?: array<string, string>|null,
 *     binding?: string|null,
 * }
 * @phpstan-type OtpDefaults array{
 *     message?: string|null,
 *     template?: string|null,
 *     locale?: string|null,
 *     variables?: array<string, string>|null,
 *     purpose?: string|null,
 *     senderId?: string|null,
 *     ttlSeconds?: int|null,
 *     sendDeadlineSeconds?: int|null,
 *     maxAttempts?: int|null,
 *     reference?: string|null,
 *     clientIp?: string|null,
 *     limitKeys?: array<string, string>|null,
 *     binding?: string|null,
 * }
 * @phpstan-type NumberVerification array{to: string, code: string, purpose?: string|null, binding?: string|null}
 * @phpstan-type BatchChange array{paused?: bool, perSecond?: int|null, startAt?: \DateTimeInterface|string}
 *
 * @phpstan-import-type OtpStatus from Otp
 */
class OtpClient
{
    private const WAIT_TIMEOUT_MS = 30_000;
    private const FIRST_POLL_MS = 250;
    private const LONGEST_POLL_MS = 2_000;
    private const POLL_GROWTH = 1.5;
    private const SILENCE_MS = 600_000;
    private const SNAPSHOTS_AT_A_TIME = 1_000;

    /** Errors that say nothing about the OTP. */
    private const PASSING = ['network_error', 'timeout', 'invalid_answer', 'queue_unavailable', 'internal_error'];

    private readonly Settings $settings;
    private readonly Http $http;

    /**
     * Does not connect yet.
     *
     * @param string $baseUrl address of the gateway, such as `https://otp.example`; may have a path before `/v1`
     * @param string $apiKey API key of your app, from the operator; dumps and traces do not show it
     * @param int|null $timeoutMs time-out of a call in milliseconds, retries included. Default: 10,000; of verifications:
     *   15,000
     * @param int $retries how often a failed call is retried where that is safe
     * @param array<int, mixed> $curlOptions options of cURL for every request, such as `CURLOPT_CAINFO` and
     *   `CURLOPT_PROXY`; those that the client sets itself win. A wrong one throws here
     *
     * @throws \InvalidArgumentException for an invalid argument, without quoting it
     */
    public function __construct(
        #[\SensitiveParameter] string $baseUrl,
        #[\SensitiveParameter] string $apiKey,
        ?int $timeoutMs = null,
        int $retries = 2,
        #[\SensitiveParameter] array $curlOptions = [],
    ) {
        $this->settings = new Settings($baseUrl, $apiKey, $timeoutMs, $retries, $curlOptions);
        $this->http = new Http($this->settings);
    }

    /**
     * Sends an OTP. Returns when it is accepted or, with `waitSeconds`, when it was sent or has failed: read `status`.
     * Retries never send it twice.
     *
     * @param array<string, mixed> $input the OTP; members that are left out or null have the gateway's defaults:
     * - `to`: mobile number, international (`+60123456789`) or national in the gateway's default country (`012-345 6789`);
     * - `message`: text of the SMS, with `%OTP%` exactly once in place of the code;
     * - `template`: name of a text that the operator wrote for the app, in place of `message`;
     * - `locale`: language of the template, such as `ms` or `zh-Hans` (BCP 47); the closest one that it has is used;
     * - `variables`: a value for each variable of the template, by name;
     * - `purpose`: what the OTP is for, such as `login`: `verifyByNumber` finds the newest OTP of a number and purpose;
     * - `senderId`: sender of the SMS, at most 11 letters and digits; Malaysian handsets do not show it;
     * - `ttlSeconds`: how long the code can be verified, counted from its send, in seconds: 30 to 600;
     * - `sendDeadlineSeconds`: how long it may wait to be sent, in seconds: 1 to 86,400; then it expires;
     * - `maxAttempts`: how many codes may be tried; at most the gateway's default;
     * - `reference`: your own id, 1 to 200 characters: `findByReference` finds the OTP by it;
     * - `clientIp`: address of the user who asks for the code: the gateway limits OTPs per address;
     * - `limitKeys`: your own ids to limit OTPs by, such as `['user' => 'u-4711']`, of kinds that the operator defined;
     * - `binding`: what the code approves, such as a payment by its id, amount and account: `verify` must name exactly the same.
     *
     * @phpstan-param OtpInput $input
     *
     * @throws OtpError `invalid_request`, `invalid_phone_number`, `country_not_allowed`, `message_not_allowed`,
     *   `recipient_rate_limited`, `client_ip_rate_limited`, `limit_key_rate_limited`, `range_blocked`, `recipient_locked`,
     *   `sending_paused`, `overloaded`, …
     */
    public function send(
        #[\SensitiveParameter] array $input,
        ?string $idempotencyKey = null,
        ?int $waitSeconds = null,
        ?int $timeoutMs = null,
    ): Otp {
        $request = new Request(
            'POST',
            '/v1/otps',
            body: Request::withoutNulls($input),
            keyed: true,
            idempotencyKey: $idempotencyKey,
            timeoutMs: $timeoutMs,
            waitSeconds: $waitSeconds,
        );
        return $this->http->call($request, self::otp(...));
    }

    /**
     * Sends an OTP's message to its number again, as a new OTP with its own id and code; the earlier code becomes invalid.
     *
     * @param string|null $clientIp address of the user who asks for the code: the gateway limits OTPs per address
     *
     * @throws OtpError those of `send`, `otp_not_found`, `already_verified`
     */
    public function resend(
        string $id,
        ?string $clientIp = null,
        ?string $idempotencyKey = null,
        ?int $waitSeconds = null,
        ?int $timeoutMs = null,
    ): Otp {
        $request = new Request(
            'POST',
            '/v1/otps/' . Request::inPath($id) . '/resend',
            body: $clientIp === null ? null : ['clientIp' => $clientIp],
            keyed: true,
            idempotencyKey: $idempotencyKey,
            timeoutMs: $timeoutMs,
            waitSeconds: $waitSeconds,
        );
        return $this->http->call($request, self::otp(...));
    }

    /**
     * Reads an OTP.
     *
     * @throws OtpError `otp_not_found`, also after its retention
     */
    public function get(string $id, ?int $timeoutMs = null): Otp
    {
        $request = new Request('GET', '/v1/otps/' . Request::inPath($id), timeoutMs: $timeoutMs);
        return $this->http->call($request, self::otp(...));
    }

    /**
     * Lists the app's OTPs that are still kept, newest first, page by page. A page reads 2,000 OTPs at most, so with a
     * filter that few pass, many pages may come before the next OTP.
     *
     * @param string|null $status lists only OTPs that have this status now
     * @param string|null $purpose lists only OTPs with this purpose
     * @param string|null $batch lists only OTPs of the batch with this id, last lines first
     * @param \DateTimeInterface|string|null $since lists only OTPs accepted since this time
     * @param \DateTimeInterface|string|null $until lists only OTPs accepted before this time
     * @param int|null $limit OTPs per page, 1 to 500. Default: 100
     * @param int|null $timeoutMs time-out of one page in milliseconds
     *
     * @phpstan-param OtpStatus|null $status
     *
     * @return \Generator<int, Otp>
     *
     * @throws OtpError `batch_not_found`, while it is iterated
     */
    public function listOtps(
        ?string $status = null,
        ?string $purpose = null,
        ?string $batch = null,
        \DateTimeInterface|string|null $since = null,
        \DateTimeInterface|string|null $until = null,
        ?int $limit = null,
        ?int $timeoutMs = null,
    ): \Generator {
        $asked = [
            'status' => $status,
            'purpose' => $purpose,
            'batch' => $batch,
            'since' => Request::timeText($since),
            'until' => Request::timeText($until),
            'limit' => $limit,
        ];
        foreach ($this->pages('/v1/otps', 'otps', 'cursor', $asked, $timeoutMs) as $item) {
            yield new Otp($item);
        }
    }

    /**
     * Lists the OTPs with this reference of yours, newest first, at most 100.
     *
     * @return list<Otp>
     *
     * @throws OtpError
     */
    public function findByReference(#[\SensitiveParameter] string $reference, ?int $timeoutMs = null): array
    {
        $request = new Request('GET', '/v1/otps' . Request::query(['reference' => $reference]), timeoutMs: $timeoutMs);
        return $this->http->call($request, static fn (Json $answer): array => array_map(self::otp(...), $answer->objects('otps')));
    }

    /**
     * Verifies a code. Returns only if this call verified the OTP: everything else is thrown.
     *
     * Retried once after `network_error` and `queue_unavailable`: a correct code whose answer was lost then still succeeds,
     * but a wrong one may cost a second attempt. `retries: 0` of the client turns that off. After a `timeout`, call again
     * within 60 s with the error's `idempotencyKey`: a correct code still succeeds. Default time-out: 15 s, since the
     * gateway waits up to 10 s for iSMS.
     *
     * @param string $id the OTP's id
     * @param string $code the six digits that the user typed
     * @param string|null $binding what the code approves, exactly as given to the send
     *
     * @throws OtpError `incorrect_code` and `binding_mismatch` with `attemptsRemaining`, `invalid_request` if the code is
     *   not six digits, `otp_not_found`, `already_verified`, `not_sent`, `not_verifiable`, `verification_in_progress`, `otp_expired`,
     *   `otp_cancelled`, `attempts_exhausted`, `recipient_locked`, and `provider_unavailable` if iSMS did not answer
     */
    public function verify(
        string $id,
        #[\SensitiveParameter] string $code,
        #[\SensitiveParameter] ?string $binding = null,
        ?string $idempotencyKey = null,
        ?int $timeoutMs = null,
    ): Verified {
        $path = '/v1/otps/' . Request::inPath($id) . '/verify';
        $body = Request::withoutNulls(['code' => $code, 'binding' => $binding]);
        return $this->verified($path, $body, $idempotencyKey, $timeoutMs);
    }

    /**
     * Verifies a code of the newest OTP of a number and purpose, as `verify` does.
     *
     * @param array<string, mixed> $verification `to`: the number that the code was sent to, in any notation that `send`
     *   accepts; `code`: the six digits that the user typed; `purpose` and `binding`: those of the OTP, if it was sent with them
     *
     * @phpstan-param NumberVerification $verification
     *
     * @throws OtpError those of `verify`, `invalid_phone_number`
     */
    public function verifyByNumber(
        #[\SensitiveParameter] array $verification,
        ?string $idempotencyKey = null,
        ?int $timeoutMs = null,
    ): Verified {
        return $this->verified('/v1/verify', Request::withoutNulls($verification), $idempotencyKey, $timeoutMs);
    }

    /**
     * Cancels an OTP: it is not sent, and a code already sent becomes invalid.
     *
     * @throws OtpError `otp_not_found`, `already_verified`
     */
    public function cancel(string $id, ?int $timeoutMs = null): void
    {
        $this->http->callWithoutAnswer(new Request('DELETE', '/v1/otps/' . Request::inPath($id), timeoutMs: $timeoutMs));
    }

    /**
     * Polls an OTP until it is neither `queued` nor `sending`, after 250 ms first and every 2 s at most; read `status`.
     * Temporary errors (`network_error`, `queue_unavailable`, …) do not end it.
     *
     * @param int $timeoutMs time-out of the wait in milliseconds
     *
     * @throws OtpTimeout after the time-out, with the OTP as last read
     * @throws OtpError `otp_not_found`
     */
    public function waitUntilSent(string $id, int $timeoutMs = self::WAIT_TIMEOUT_MS): Otp
    {
        $until = Http::nowMs() + Settings::checkedTimeoutMs($timeoutMs);
        $seen = null;
        for ($pauseMs = self::FIRST_POLL_MS; ; $pauseMs = min($pauseMs * self::POLL_GROWTH, self::LONGEST_POLL_MS)) {
            $leftMs = (int) ceil($until - Http::nowMs());
            if ($leftMs <= 0) {
                throw new OtpTimeout($seen);
            }
            try {
                $seen = $this->get($id, timeoutMs: min($leftMs, $this->settings->timeoutMs));
                if (!in_array($seen->status, ['queued', 'sending'], true)) {
                    return $seen;
                }
            } catch (OtpError $error) {
                if (!$error->is(...self::PASSING)) {
                    throw $error;
                }
            }
            Http::pause(min($pauseMs, $until - Http::nowMs()));
        }
    }

    /**
     * Uploads any number of OTPs as one batch. They are read from `$inputs` as they are sent, and `$onResult` gets the
     * result of each; an invalid one does not affect the others. An upload that breaks off is retried under its key if
     * `$inputs` is an array, or a function that returns the same OTPs in the same order each time; otherwise, and after the
     * last retry, OtpUploadBroken is thrown.
     *
     * @param iterable<array<string, mixed>>|\Closure(): iterable<array<string, mixed>> $inputs OTPs as `send` takes them
     * @param string|null $idempotencyKey identifies this upload: repeated with the same key from the first OTP on, it
     *   sends each once. Default: a new key, used by all retries; OtpUploadBroken has it
     * @param string|null $name name of the batch, for people: at most 100 characters. A repeated upload keeps its first
     *   name, start and pace
     * @param \DateTimeInterface|string|null $startAt when the batch starts, at most 7 days ahead. Default, and in the past:
     *   at once
     * @param int|null $perSecond OTPs sent in a second at most, 1 to 10,000. Default: as many as can be sent
     * @param array<string, mixed> $defaults members of every OTP that does not set them
     * @param (callable(UploadResult): mixed)|null $onResult gets the result of each OTP once, in order. An OTP that was
     *   rejected temporarily gets a second result if a retry of the upload accepts it
     * @param int $silenceMs time-out in milliseconds, rounded up to seconds, while nothing is sent or received. Default:
     *   600,000, as in the gateway, which slows uploads to the app's limit
     *
     * @phpstan-param iterable<OtpInput>|\Closure(): iterable<OtpInput> $inputs
     * @phpstan-param OtpDefaults $defaults
     *
     * @throws OtpUploadBroken
     * @throws OtpError `batch_cancelled`, `too_many_uploads`, `too_many_batches`, …
     */
    public function sendMany(
        #[\SensitiveParameter] iterable|\Closure $inputs,
        ?string $idempotencyKey = null,
        ?string $name = null,
        \DateTimeInterface|string|null $startAt = null,
        ?int $perSecond = null,
        #[\SensitiveParameter] array $defaults = [],
        ?callable $onResult = null,
        int $silenceMs = self::SILENCE_MS,
    ): UploadSummary {
        $query = ['name' => $name, 'startAt' => Request::timeText($startAt), 'perSecond' => $perSecond];
        $upload = new Upload(
            $this->http,
            Request::checkedKey($idempotencyKey),
            Request::query($query),
            $defaults,
            $onResult,
            Settings::checkedTimeoutMs($silenceMs),
        );
        return $upload->run($inputs, $this->settings->retries);
    }

    /**
     * Lists the app's batches, newest first, page by page; those without an accepted OTP are missing.
     *
     * @param string|null $status lists only batches with this status: `scheduled`, `sending`, `paused`, `cancelled` or
     *   `finished`
     * @param \DateTimeInterface|string|null $since lists only batches created since this time
     * @param \DateTimeInterface|string|null $until lists only batches created before this time
     * @param int|null $limit batches per page, 1 to 100. Default: 20
     * @param int|null $timeoutMs time-out of one page in milliseconds
     *
     * @return \Generator<int, Batch>
     *
     * @throws OtpError while it is iterated
     */
    public function listBatches(
        ?string $status = null,
        \DateTimeInterface|string|null $since = null,
        \DateTimeInterface|string|null $until = null,
        ?int $limit = null,
        ?int $timeoutMs = null,
    ): \Generator {
        $asked = [
            'status' => $status,
            'since' => Request::timeText($since),
            'until' => Request::timeText($until),
            'limit' => $limit,
        ];
        foreach ($this->pages('/v1/batches', 'batches', 'cursor', $asked, $timeoutMs) as $item) {
            yield new Batch($item);
        }
    }

    /**
     * Reads a batch: its progress, and its accepted OTPs counted by status.
     *
     * @throws OtpError `batch_not_found`
     */
    public function getBatch(string $id, ?int $timeoutMs = null): Batch
    {
        $request = new Request('GET', '/v1/batches/' . Request::inPath($id), timeoutMs: $timeoutMs);
        return $this->http->call($request, self::batch(...));
    }

    /**
     * Lists the accepted OTPs of a batch in the order of the upload, page by page.
     *
     * @param string|null $status lists only OTPs with this status
     * @param int|null $limit OTPs per page, 1 to 500. Default: 100
     * @param int|null $timeoutMs time-out of one page in milliseconds
     *
     * @phpstan-param OtpStatus|null $status
     *
     * @return \Generator<int, BatchOtp>
     *
     * @throws OtpError `batch_not_found`, while it is iterated
     */
    public function listBatch(
        string $id,
        ?string $status = null,
        ?int $limit = null,
        ?int $timeoutMs = null,
    ): \Generator {
        $path = '/v1/batches/' . Request::inPath($id) . '/otps';
        $asked = ['status' => $status, 'limit' => $limit];
        foreach ($this->pages($path, 'otps', 'cursor', $asked, $timeoutMs) as $item) {
            yield new BatchOtp($item);
        }
    }

    /**
     * Pauses or resumes a batch, or changes its pace or start.
     *
     * @param array<string, mixed> $change members that are left out stay. `paused`: pauses or resumes it; `perSecond`:
     *   OTPs sent in a second at most, 1 to 10,000, or null for as many as can be sent; `startAt`: another start, at most
     *   7 days after the upload, of a batch that has not started; in the past: now
     *
     * @phpstan-param BatchChange $change
     *
     * @throws OtpError `batch_not_found`, `batch_ended`, `batch_started` for another start, `invalid_request`
     */
    public function changeBatch(string $id, array $change, ?int $timeoutMs = null): Batch
    {
        if (isset($change['startAt'])) {
            $change['startAt'] = Request::timeText($change['startAt']);
        }
        $path = '/v1/batches/' . Request::inPath($id);
        return $this->http->call(new Request('PATCH', $path, body: $change, timeoutMs: $timeoutMs), self::batch(...));
    }

    /**
     * Cancels what a batch has not sent, and closes it; codes already sent stay valid.
     *
     * @throws OtpError `batch_not_found`
     */
    public function cancelBatch(string $id, ?int $timeoutMs = null): void
    {
        $path = '/v1/batches/' . Request::inPath($id);
        $this->http->callWithoutAnswer(new Request('DELETE', $path, timeoutMs: $timeoutMs));
    }

    /**
     * Reads the latest known balance of the iSMS account.
     *
     * @param bool $refresh asks iSMS now
     *
     * @throws OtpError `balance_unavailable`
     */
    public function balance(bool $refresh = false, ?int $timeoutMs = null): Balance
    {
        $path = '/v1/balance' . Request::query(['refresh' => $refresh ? 'true' : null]);
        $request = new Request('GET', $path, timeoutMs: $timeoutMs);
        return $this->http->call($request, static fn (Json $answer): Balance => new Balance($answer));
    }

    /**
     * Lists past balances of up to 90 days, newest first, page by page.
     *
     * @param \DateTimeInterface|string|null $since time of the oldest snapshot
     * @param \DateTimeInterface|string|null $until lists only snapshots before this time
     * @param int|null $timeoutMs time-out of one page in milliseconds
     *
     * @return \Generator<int, BalanceSnapshot>
     *
     * @throws OtpError while it is iterated
     */
    public function balanceHistory(
        \DateTimeInterface|string|null $since = null,
        \DateTimeInterface|string|null $until = null,
        ?int $timeoutMs = null,
    ): \Generator {
        $asked = [
            'since' => Request::timeText($since),
            'until' => Request::timeText($until),
            'limit' => self::SNAPSHOTS_AT_A_TIME,
        ];
        foreach ($this->pages('/v1/balance/history', 'snapshots', 'until', $asked, $timeoutMs) as $item) {
            yield new BalanceSnapshot($item);
        }
    }

    /**
     * Reads the app's statistics by time and group.
     *
     * @param string|null $by groups of the rows: `status` (none), `country`, `purpose` or `template`. Default: `status`
     * @param \DateTimeInterface|string|null $since start, at most 35 days ago, with steps of 5 minutes 2 days. Default:
     *   24 hours before `until`
     * @param \DateTimeInterface|string|null $until end, exclusive. Default: now
     * @param string|null $step time that a row covers: `5m`, `1h` or `1d`. Default: `1h`
     *
     * @throws OtpError `invalid_request` for a time that is no longer kept
     */
    public function stats(
        ?string $by = null,
        \DateTimeInterface|string|null $since = null,
        \DateTimeInterface|string|null $until = null,
        ?string $step = null,
        ?int $timeoutMs = null,
    ): Stats {
        $asked = ['by' => $by, 'since' => Request::timeText($since), 'until' => Request::timeText($until), 'step' => $step];
        $request = new Request('GET', '/v1/stats' . Request::query($asked), timeoutMs: $timeoutMs);
        return $this->http->call($request, static fn (Json $answer): Stats => new Stats($answer));
    }

    /** @param array<string, mixed> $body */
    private function verified(
        string $path,
        #[\SensitiveParameter] array $body,
        ?string $idempotencyKey,
        ?int $timeoutMs,
    ): Verified {
        $request = new Request(
            'POST',
            $path,
            body: $body,
            keyed: true,
            idempotencyKey: $idempotencyKey,
            timeoutMs: $timeoutMs,
            isVerification: true,
        );
        return $this->http->call($request, static fn (Json $answer): Verified => new Verified($answer));
    }

    /**
     * Lists all items of this name; `next` of a page is the parameter `$cursor` of the next one.
     *
     * @param array<string, string|int|null> $asked
     *
     * @return \Generator<int, Json>
     */
    private function pages(string $path, string $name, string $cursor, array $asked, ?int $timeoutMs): \Generator
    {
        do {
            $request = new Request('GET', $path . Request::query($asked), timeoutMs: $timeoutMs);
            [$items, $next] = $this->http->call(
                $request,
                static fn (Json $answer): array => [$answer->objects($name), $answer->textOrNull('next')],
            );
            // Not `yield from`, whose keys begin anew with each page.
            foreach ($items as $item) {
                yield $item;
            }
            $asked[$cursor] = $next;
        } while ($next !== null);
    }

    private static function otp(Json $answer): Otp
    {
        return new Otp($answer);
    }

    private static function batch(Json $answer): Batch
    {
        return new Batch($answer);
    }
}

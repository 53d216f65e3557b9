<?php

declare(strict_types=1);

namespace IsmsOtp;

/**
 * A failed call. Its message never contains an OTP code, a key or a phone number, so it can be logged.
 *
 * `code` is the gateway's (docs/errors.md), or tells why there is no valid answer:
 * - `network_error`: no answer, or a connection that broke;
 * - `timeout`: no answer in time;
 * - `invalid_answer`: an answer that is incomplete or not the gateway's, such as a proxy's.
 *
 * @phpstan-type RefusalCode 'invalid_request'|'idempotency_in_flight'|'idempotency_key_reused'|'invalid_phone_number'|'country_not_allowed'|'recipient_denied'|'message_not_allowed'|'recipient_rate_limited'|'app_rate_limited'|'app_budget_exceeded'|'client_ip_rate_limited'|'limit_key_rate_limited'|'range_blocked'|'recipient_locked'|'too_many_rejected'|'batch_cancelled'|'sending_paused'|'app_paused'|'overloaded'|'internal_error'|'queue_unavailable'
 * @phpstan-type OtpErrorCode RefusalCode|'unauthorized'|'cross_site_request'|'action_not_offered'|'not_found'|'otp_not_found'|'app_not_found'|'batch_not_found'|'not_acceptable'|'method_not_allowed'|'already_verified'|'batch_ended'|'batch_started'|'not_sent'|'not_verifiable'|'verification_in_progress'|'too_many_jobs'|'otp_expired'|'otp_cancelled'|'attempts_exhausted'|'request_timeout'|'headers_too_large'|'body_too_large'|'unsupported_media_type'|'expectation_failed'|'incorrect_code'|'binding_mismatch'|'too_many_uploads'|'too_many_batches'|'too_many_exports'|'too_many_logins'|'provider_unavailable'|'balance_unavailable'|'not_live'|'not_ready'|'network_error'|'timeout'|'invalid_answer'
 */
class OtpError extends \RuntimeException
{
    /**
     * Stable, for programs; also what `getCode()` returns. A newer gateway may have further codes.
     *
     * @var string
     */
    public $code;

    /**
     * @param string $code the stable code
     * @param string $detail in English, for people
     * @param int|null $status HTTP status; null if there was no answer
     * @param list<InputMistake> $errors all errors, for `invalid_request` and `message_not_allowed`; else empty
     * @param int|null $retryAfterSeconds seconds to wait before a retry; null if the gateway named none
     * @param string|null $requestId finds the request in the gateway's log
     * @param int|null $attemptsRemaining how many attempts are left, for `incorrect_code` and `binding_mismatch`; else null
     * @param string|null $idempotencyKey the call's key, to repeat it; null if it had none
     *
     * @internal
     */
    public function __construct(
        string $code,
        public readonly string $detail,
        public readonly ?int $status = null,
        public readonly array $errors = [],
        public readonly ?int $retryAfterSeconds = null,
        public readonly ?string $requestId = null,
        public readonly ?int $attemptsRemaining = null,
        public readonly ?string $idempotencyKey = null,
    ) {
        parent::__construct("{$code}: {$detail}");
        $this->code = $code;
    }

    /**
     * Tells whether the error has one of these codes.
     *
     * @phpstan-param OtpErrorCode ...$codes
     */
    public function is(string ...$codes): bool
    {
        return in_array($this->code, $codes, true);
    }
}

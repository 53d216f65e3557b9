<?php

declare(strict_types=1);

namespace IsmsOtp\Internal;

use IsmsOtp\OtpError;

/**
 * Decides on retries; nothing else does.
 *
 * A call other than a verification may be retried any number of times, since it takes effect once: it reads, cancels,
 * sets values or has an idempotency key. A verification is retried once, and only after `network_error` or
 * `queue_unavailable`: the gateway repeats a success under the same key, so a correct code whose answer was lost still
 * succeeds; a wrong code costs a second attempt. No retry after a time-out: the first call may still be running, and the code would be checked twice.
 *
 * @internal
 */
final class Retry
{
    private const FIRST_PAUSE_MS = 100;
    private const LONGEST_PAUSE_MS = 2_000;
    private const LONGEST_RETRY_AFTER_SECONDS = 5;

    /** Temporary errors. */
    private const PASSING = [
        'network_error',
        'timeout',
        'queue_unavailable',
        'overloaded',
        'sending_paused',
        'app_rate_limited',
        'too_many_uploads',
        'idempotency_in_flight',
    ];

    /** Errors that leave the result of a verification unknown. */
    private const LOST = ['network_error', 'queue_unavailable'];

    /**
     * Returns the milliseconds until the next try, or null for none.
     *
     * @param int $failed failed tries, this one included
     * @param OtpError|null $before error of the previous try; null for the first
     */
    public static function pauseMs(
        OtpError $error,
        bool $isVerification,
        int $failed,
        int $retries,
        ?OtpError $before = null,
    ): ?float {
        // The lost try may have verified the OTP: the gateway repeats that success under its key, at no attempt.
        if ($isVerification && $error->is('already_verified') && $before?->is(...self::LOST)) {
            return self::backoffMs($failed);
        }
        if ($failed > $retries || !self::mayRepeat($error, $isVerification, $failed)) {
            return null;
        }
        $retryAfterSeconds = $error->retryAfterSeconds ?? 0;
        if ($retryAfterSeconds > self::LONGEST_RETRY_AFTER_SECONDS) {
            return null;
        }
        return $retryAfterSeconds * 1_000 + self::backoffMs($failed);
    }

    private static function mayRepeat(OtpError $error, bool $isVerification, int $failed): bool
    {
        if ($isVerification) {
            return $failed === 1 && $error->is(...self::LOST);
        }
        // A proxy answers for a gateway that is being restarted.
        $isOfProxy = $error->is('invalid_answer') && in_array($error->status, [502, 503, 504], true);
        return $isOfProxy || $error->is(...self::PASSING);
    }

    /** Exponential backoff with full jitter. */
    private static function backoffMs(int $failed): float
    {
        $longest = min(self::LONGEST_PAUSE_MS, self::FIRST_PAUSE_MS * 2 ** min($failed - 1, 10));
        return random_int(0, $longest * 1_000) / 1_000;
    }
}

<?php

declare(strict_types=1);

namespace IsmsOtp;

/** Why an OTP was not sent, or may not have been sent. */
final class OtpFailure
{
    /**
     * @param string $code stable, for programs: `not_sent_in_time`, `provider_unreachable`, `outcome_unknown`,
     *   `invalid_number`, `message_refused`, `recipient_denied`, `insufficient_credits` or `rejected`; a newer
     *   gateway may have more
     * @param string $message in English, for people
     *
     * @internal
     */
    public function __construct(
        public readonly string $code,
        public readonly string $message,
    ) {
    }
}

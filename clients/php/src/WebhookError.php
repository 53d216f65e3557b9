<?php

declare(strict_types=1);

namespace IsmsOtp;

/** A rejected webhook. */
final class WebhookError extends \RuntimeException
{
    /**
     * Stable, for programs; also what `getCode()` returns: `missing_header`, `outside_tolerance`, `wrong_signature`,
     * `invalid_payload`, or `invalid_secret`, an error of the receiver.
     *
     * @var string
     */
    public $code;

    /**
     * @phpstan-param 'missing_header'|'outside_tolerance'|'wrong_signature'|'invalid_payload'|'invalid_secret' $code
     *
     * @internal
     */
    public function __construct(string $code, string $message)
    {
        parent::__construct($message);
        $this->code = $code;
    }
}

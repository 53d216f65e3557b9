<?php

declare(strict_types=1);

namespace IsmsOtp;

/**
 * An upload broke off; `code` is `network_error`, `timeout` or `invalid_answer`. Repeating it with the same OTPs in the
 * same order and `idempotencyKey` sends each once.
 */
final class OtpUploadBroken extends OtpError
{
    /**
     * @param OtpError $cause why it broke off
     * @param string|null $batchId id of the batch; null if the gateway had not started to answer
     * @param int $linesAnswered how many OTPs have a result, given to `onResult`
     *
     * @internal
     */
    public function __construct(
        OtpError $cause,
        public readonly ?string $batchId,
        public readonly int $linesAnswered,
    ) {
        parent::__construct(
            $cause->code,
            $cause->detail,
            status: $cause->status,
            retryAfterSeconds: $cause->retryAfterSeconds,
            requestId: $cause->requestId,
            idempotencyKey: $cause->idempotencyKey,
        );
    }
}

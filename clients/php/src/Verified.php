<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Json;

/** A verification that succeeded: other outcomes are thrown. */
final class Verified
{
    /** The OTP's id. */
    public readonly string $id;

    /** Always `verified`. */
    public readonly string $status;

    /** When it was verified, UTC with milliseconds. */
    public readonly string $verifiedAt;

    /** @internal */
    public function __construct(Json $answer)
    {
        $this->id = $answer->text('id');
        $this->status = $answer->text('status');
        $this->verifiedAt = $answer->text('verifiedAt');
        // Callers sign users in when they get this object.
        if ($this->status !== 'verified') {
            throw new \UnexpectedValueException('status is not verified');
        }
    }
}

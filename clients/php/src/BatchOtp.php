<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Json;

/** An OTP of a batch. */
final class BatchOtp extends Otp
{
    /** Its place in the upload, counted from 0. */
    public readonly int $index;

    /** @internal */
    public function __construct(Json $answer)
    {
        parent::__construct($answer);
        $this->index = $answer->integer('index');
    }
}

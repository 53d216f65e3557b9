<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Secret;

/** `waitUntilSent` timed out; `code` is `timeout`. */
final class OtpTimeout extends OtpError
{
    /**
     * Hidden, so that logging the error does not print the phone number.
     *
     * @var Secret<Otp|null>
     */
    private readonly Secret $lastOtp;

    /** @internal */
    public function __construct(#[\SensitiveParameter] ?Otp $otp)
    {
        parent::__construct('timeout', 'The OTP was not sent within the time-out; it may still be.');
        $this->lastOtp = new Secret($otp);
    }

    /** The OTP as last read; null if no read succeeded. */
    public function otp(): ?Otp
    {
        return $this->lastOtp->reveal();
    }
}

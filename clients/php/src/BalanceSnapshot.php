<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Json;

/** The balance at one moment. */
final class BalanceSnapshot
{
    /** When the gateway read it, UTC with milliseconds. */
    public readonly string $at;

    /** Credits left. */
    public readonly float $credits;

    /** Last day on which the credits can be used; null if they do not expire. */
    public readonly ?string $expiresOn;

    /** @internal */
    public function __construct(Json $answer)
    {
        $this->at = $answer->text('at');
        $this->credits = $answer->number('credits');
        $this->expiresOn = $answer->textOrNull('expiresOn');
    }
}

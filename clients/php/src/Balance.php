<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Json;

/** Credits of the iSMS account, and how long they last. */
final class Balance
{
    /** Credits left. */
    public readonly float $credits;

    /** Last day on which the credits can be used, such as `2026-12-31`; null if they do not expire. */
    public readonly ?string $expiresOn;

    /** When the gateway read the balance, UTC with milliseconds. */
    public readonly string $checkedAt;

    /** Whether the credits are below the operator's threshold. */
    public readonly bool $low;

    /** Whether the credits expire soon, by the operator's threshold. */
    public readonly bool $expiring;

    /** Average use of the last days, in credits; null while it is not known. */
    public readonly ?float $creditsPerDay;

    /** The day on which the credits run out at that rate; null while it is not known. */
    public readonly ?string $runsOutOn;

    /** @internal */
    public function __construct(Json $answer)
    {
        $this->credits = $answer->number('credits');
        $this->expiresOn = $answer->textOrNull('expiresOn');
        $this->checkedAt = $answer->text('checkedAt');
        $this->low = $answer->boolean('low');
        $this->expiring = $answer->boolean('expiring');
        $this->creditsPerDay = $answer->numberOrNull('creditsPerDay');
        $this->runsOutOn = $answer->textOrNull('runsOutOn');
    }
}

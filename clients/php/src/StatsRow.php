<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Json;

/** Counts of a group in a step. */
final class StatsRow
{
    /** Start of the step, UTC with milliseconds. */
    public readonly string $start;

    /** The country, purpose or template; null without one, and with `by: 'status'`. */
    public readonly ?string $group;

    /** OTPs accepted. */
    public readonly int $accepted;

    /** @var array<string, int> requests rejected, by problem code */
    public readonly array $rejected;

    /** OTPs that iSMS accepted. */
    public readonly int $sent;

    /** How many of these were verified. */
    public readonly int $verified;

    /** @var array<string, int> OTPs that ended without an SMS, by failure code */
    public readonly array $failed;

    /** OTPs that ended without knowing whether an SMS was sent. */
    public readonly int $unknown;

    /** Credits of the OTPs sent. */
    public readonly float $credits;

    /** Share of the OTPs sent that were verified; null if none was sent. */
    public readonly ?float $conversion;

    /** Median time from send to verification; null if none was verified. */
    public readonly ?float $medianVerifySeconds;

    /** @internal */
    public function __construct(Json $answer)
    {
        $this->start = $answer->text('start');
        $this->group = $answer->textOrNull('group');
        $this->accepted = $answer->integer('accepted');
        $this->rejected = $answer->counts('rejected');
        $this->sent = $answer->integer('sent');
        $this->verified = $answer->integer('verified');
        $this->failed = $answer->counts('failed');
        $this->unknown = $answer->integer('unknown');
        $this->credits = $answer->number('credits');
        $this->conversion = $answer->numberOrNull('conversion');
        $this->medianVerifySeconds = $answer->numberOrNull('medianVerifySeconds');
    }
}

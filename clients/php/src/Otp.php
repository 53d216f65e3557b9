<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Json;

/**
 * An OTP as it was when the gateway answered. Times are UTC with milliseconds: `2026-01-01T00:00:00.000Z`. `var_dump`,
 * `print_r` and `json_encode` mask its number; `var_export`, `serialize` and `dd()` of Laravel do not.
 *
 * @phpstan-type OtpStatus 'queued'|'sending'|'sent'|'verified'|'expired'|'locked'|'failed'|'unknown'|'cancelled'
 */
class Otp implements \JsonSerializable
{
    /** The gateway's id of the OTP. */
    public readonly string $id;

    /**
     * Where the OTP is in its life: `queued` → `sending` → `sent` → `verified`, `expired` or `locked`. An OTP that could
     * not be sent is `failed`, one that may or may not have been sent is `unknown`, and one taken back by its app is
     * `cancelled`. A newer gateway may have more.
     */
    public readonly string $status;

    /** The whole number, such as `+60123456789` (E.164). */
    public readonly string $to;

    /** Your own id, as given to the send. */
    public readonly ?string $reference;

    /** What the OTP is for, as given to the send. */
    public readonly ?string $purpose;

    /** When the gateway accepted it. */
    public readonly string $createdAt;

    /** When it expires if it has not been sent. */
    public readonly string $sendDeadline;

    /** When iSMS accepted the SMS; null before. */
    public readonly ?string $sentAt;

    /** Until when the code can be verified; null before it is sent. */
    public readonly ?string $expiresAt;

    /** How many codes can still be tried. */
    public readonly int $attemptsRemaining;

    /** One of the two ids that iSMS gave the SMS. */
    public readonly ?string $uuid;

    /** The other id that iSMS gave the SMS. */
    public readonly ?string $smsId;

    /** Price of one send, in credits. */
    public readonly float $credits;

    /** Why it was not sent, or may not have been sent; null if nothing went wrong. */
    public readonly ?OtpFailure $failure;

    /** @internal */
    public function __construct(Json $answer)
    {
        $this->id = $answer->text('id');
        $this->status = $answer->text('status');
        $this->to = $answer->text('to');
        $this->reference = $answer->textOrNull('reference');
        $this->purpose = $answer->textOrNull('purpose');
        $this->createdAt = $answer->text('createdAt');
        $this->sendDeadline = $answer->text('sendDeadline');
        $this->sentAt = $answer->textOrNull('sentAt');
        $this->expiresAt = $answer->textOrNull('expiresAt');
        $this->attemptsRemaining = $answer->integer('attemptsRemaining');
        $this->uuid = $answer->textOrNull('uuid');
        $this->smsId = $answer->textOrNull('smsId');
        $this->credits = $answer->number('credits');
        $failure = $answer->objectOrNull('failure');
        $this->failure = $failure === null ? null : new OtpFailure($failure->text('code'), $failure->text('message'));
    }

    /**
     * What dumps show: everything, with the number masked.
     *
     * @return array<string, mixed>
     */
    public function __debugInfo(): array
    {
        return ['to' => substr($this->to, 0, 3) . '******' . substr($this->to, -3)] + get_object_vars($this);
    }

    /**
     * What `json_encode` shows: the same.
     *
     * @return array<string, mixed>
     */
    public function jsonSerialize(): array
    {
        return $this->__debugInfo();
    }
}

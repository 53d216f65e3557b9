<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Json;

/** OTPs that were uploaded together, counted by status. Times are UTC with milliseconds. */
final class Batch
{
    /** The gateway's id of the batch. */
    public readonly string $id;

    /** Name for people, as given to the upload. */
    public readonly ?string $name;

    /**
     * Where the batch is: `scheduled`, `sending` until all its OTPs were sent or given up and no upload is under way,
     * `paused`, `cancelled` or `finished`.
     */
    public readonly string $status;

    /** When it starts; null: at once. */
    public readonly ?string $startAt;

    /** OTPs sent in a second at most; null: as many as can be sent. */
    public readonly ?int $perSecond;

    /** Whether it is paused. */
    public readonly bool $paused;

    /** When its first OTP had its turn. */
    public readonly ?string $startedAt;

    /** When all its OTPs were sent or given up. */
    public readonly ?string $finishedAt;

    /** OTPs that wait for their turn in the batch. */
    public readonly int $waiting;

    /**
     * What these wait for: `start`, `paused`, `app_paused`, `pace`, `earlier_batch` or `number_range`; null: only their
     * turn.
     */
    public readonly ?string $waitsFor;

    /** OTPs a second since the start; null before it. */
    public readonly ?float $rate;

    /** When it will have ended, by `rate` and `perSecond`; null while that cannot be told. */
    public readonly ?string $estimatedEnd;

    /** When the upload began. */
    public readonly string $createdAt;

    /** Lines of the upload up to the last one that was accepted or, under an idempotency key, could be read. */
    public readonly int $lines;

    /** Whether it was cancelled; false if a cancellation could not reach all of it and must be repeated. */
    public readonly bool $cancelled;

    /**
     * Accepted OTPs by status. Expiries are counted within seconds.
     *
     * @var array<string, int>
     */
    public readonly array $counts;

    /** @internal */
    public function __construct(Json $answer)
    {
        $this->id = $answer->text('id');
        $this->name = $answer->textOrNull('name');
        $this->status = $answer->text('status');
        $this->startAt = $answer->textOrNull('startAt');
        $this->perSecond = $answer->integerOrNull('perSecond');
        $this->paused = $answer->boolean('paused');
        $this->startedAt = $answer->textOrNull('startedAt');
        $this->finishedAt = $answer->textOrNull('finishedAt');
        $this->waiting = $answer->integer('waiting');
        $this->waitsFor = $answer->textOrNull('waitsFor');
        $this->rate = $answer->numberOrNull('rate');
        $this->estimatedEnd = $answer->textOrNull('estimatedEnd');
        $this->createdAt = $answer->text('createdAt');
        $this->lines = $answer->integer('lines');
        $this->cancelled = $answer->boolean('cancelled');
        $this->counts = $answer->counts('counts');
    }
}

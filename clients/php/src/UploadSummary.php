<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Json;

/** The answer to a whole upload. */
final class UploadSummary
{
    /** Id of the batch, for `getBatch`, `listBatch` and `cancelBatch`. */
    public readonly string $batchId;

    /** How many OTPs were accepted. */
    public readonly int $accepted;

    /** How many OTPs were not accepted. */
    public readonly int $rejected;

    /** @internal */
    public function __construct(Json $answer)
    {
        $this->batchId = $answer->text('batchId');
        $this->accepted = $answer->integer('accepted');
        $this->rejected = $answer->integer('rejected');
    }
}

<?php

declare(strict_types=1);

namespace IsmsOtp;

use IsmsOtp\Internal\Json;

/** The answer to one OTP of an upload: the `id` of an accepted OTP, or the `code` of one that was not accepted. */
final class UploadResult
{
    /** The OTP's place in the upload, counted from 0. */
    public readonly int $index;

    /** The gateway's id of the OTP; null if it was not accepted. */
    public readonly ?string $id;

    /** Why it was not accepted, such as `invalid_phone_number`: stable, for programs. Null if it was accepted. */
    public readonly ?string $code;

    /** The same in English, for people; null if it was accepted. */
    public readonly ?string $message;

    /** @internal */
    public function __construct(Json $answer)
    {
        $this->index = $answer->integer('index');
        $this->id = $answer->textOrNull('id');
        $this->code = $answer->textOrNull('code');
        $this->message = $answer->textOrNull('message');
    }
}

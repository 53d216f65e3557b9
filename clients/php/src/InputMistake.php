<?php

declare(strict_types=1);

namespace IsmsOtp;

/** An error in a request. */
final class InputMistake
{
    /**
     * @param string $path the member, such as `to`
     * @param string $message what it must be, in English
     *
     * @internal
     */
    public function __construct(
        public readonly string $path,
        public readonly string $message,
    ) {
    }
}

<?php

declare(strict_types=1);

namespace IsmsOtp;

/** An event of the gateway; `type` tells the members of `data`. Ignore types that you do not know: a newer gateway may have more. */
final class WebhookEvent
{
    /**
     * @param string $id unique; the same in every delivery of this event
     * @param string $type what happened, such as `otp.sent`; docs/webhooks.md lists the types
     * @param string $timestamp when it happened, UTC with milliseconds
     * @param array<string, mixed> $data what it happened to. Of every `otp.*` event: `id`, `app`, `reference` (string or
     *   null), `status`, and `failure` (null, or an array with `code` and `message`). It has no phone number;
     *   `OtpClient::get` does
     *
     * @internal
     */
    public function __construct(
        public readonly string $id,
        public readonly string $type,
        public readonly string $timestamp,
        public readonly array $data,
    ) {
    }
}

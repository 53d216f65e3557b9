<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use Illuminate\Contracts\Cache\Repository;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use IsmsOtp\WebhookEvent;
use Psr\Log\LoggerInterface;

/** Receives events of the gateway. */
final class OtpEventController
{
    private const REMEMBERED_SECONDS = 86_400;

    public function __invoke(Request $request, Repository $cache, LoggerInterface $logger): Response
    {
        $event = $request->attributes->get('otpEvent');
        // Events arrive at least once.
        if ($event instanceof WebhookEvent && $cache->add("otp-event-{$event->id}", true, self::REMEMBERED_SECONDS)) {
            try {
                $logger->info('OTP event', ['type' => $event->type, 'reference' => $event->data['reference'] ?? null]);
            } catch (\Throwable $error) {
                // The gateway delivers it again.
                $cache->forget("otp-event-{$event->id}");
                throw $error;
            }
        }
        return new Response('', 204);
    }
}

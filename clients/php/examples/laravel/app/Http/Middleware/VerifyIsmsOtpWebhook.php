<?php

declare(strict_types=1);

namespace App\Http\Middleware;

use Closure;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use IsmsOtp\Webhook;
use IsmsOtp\WebhookError;

/** Lets only webhooks of the gateway pass; `$request->attributes->get('otpEvent')` is the WebhookEvent. */
final class VerifyIsmsOtpWebhook
{
    /** @param string $secret several during a rotation, separated by commas */
    public function __construct(#[\SensitiveParameter] private readonly string $secret)
    {
    }

    public function handle(Request $request, Closure $next): mixed
    {
        try {
            $event = Webhook::verify($request->getContent(), $request->headers->all(), $this->secret);
        } catch (WebhookError $error) {
            // A wrong ISMS_OTP_WEBHOOK_SECRET is this app's error: it is reported, and the gateway tries again.
            return $error->code === 'invalid_secret' ? throw $error : new Response('', 401);
        }
        $request->attributes->set('otpEvent', $event);
        return $next($request);
    }
}

<?php

declare(strict_types=1);

namespace App\Listeners;

use App\Notifications\LoginCode;
use Illuminate\Contracts\Session\Session;
use Illuminate\Notifications\Events\NotificationSent;
use IsmsOtp\Otp;

/** Keeps the id of a sign-in's OTP, and its number in one notation, in the session. */
final class RememberOtp
{
    public function __construct(private readonly Session $session)
    {
    }

    public function handle(NotificationSent $event): void
    {
        if ($event->notification instanceof LoginCode && $event->response instanceof Otp) {
            $this->session->put(['otpId' => $event->response->id, 'to' => $event->response->to]);
        }
    }
}

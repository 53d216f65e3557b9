<?php

declare(strict_types=1);

namespace App\Notifications;

use Illuminate\Notifications\Notification;

/** The code of a sign-in; iSMS makes it, so this app never knows it. */
final class LoginCode extends Notification
{
    public function __construct(private readonly ?string $clientIp)
    {
    }

    /** @return list<string> */
    public function via(object $notifiable): array
    {
        return ['isms-otp'];
    }

    /** @return array<string, string|null> what `OtpClient::send` takes, without `to` */
    public function toIsmsOtp(object $notifiable): array
    {
        return ['purpose' => 'login', 'clientIp' => $this->clientIp];
    }
}

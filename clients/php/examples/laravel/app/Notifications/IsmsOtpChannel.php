<?php

declare(strict_types=1);

namespace App\Notifications;

use Illuminate\Notifications\Notification;
use IsmsOtp\Otp;
use IsmsOtp\OtpClient;

/**
 * Notification channel `isms-otp`: sends an OTP to the number that `routeNotificationFor('isms-otp')` of the user names.
 * Laravel hands the OTP to listeners of `NotificationSent`, as `$event->response`.
 */
final class IsmsOtpChannel
{
    public function __construct(private readonly OtpClient $otps)
    {
    }

    /** Returns null for a user without a number. Throws an OtpError. */
    public function send(object $notifiable, Notification $notification): ?Otp
    {
        $to = $notifiable->routeNotificationFor('isms-otp', $notification);
        if (!is_string($to) || $to === '') {
            return null;
        }
        $input = method_exists($notification, 'toIsmsOtp') ? $notification->toIsmsOtp($notifiable) : [];
        // A queued job that runs again has the same id, so it sends no second SMS.
        return $this->otps->send(['to' => $to] + $input, idempotencyKey: "notification-{$notification->id}");
    }
}

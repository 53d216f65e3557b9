<?php
// Runs PHP code with a client of the gateway, `$otps`, and prints what it returns or throws: `php run.php <code>`.

declare(strict_types=1);

use IsmsOtp\Otp;
use IsmsOtp\OtpClient;
use IsmsOtp\OtpTimeout;

require __DIR__ . '/../../../clients/php/autoload.php';

function client(mixed ...$options): OtpClient
{
    return new OtpClient(...$options + ['baseUrl' => (string) getenv('OTP_URL'), 'apiKey' => (string) getenv('OTP_KEY')]);
}

/** What a program sees; `json_encode` masks numbers. */
function seen(mixed $value): mixed
{
    return match (true) {
        $value instanceof Otp => get_object_vars($value),
        is_array($value) => array_map(seen(...), $value),
        default => $value,
    };
}

/** Members that a program sees, also of the errors. */
function shown(Throwable $error): array
{
    $members = get_object_vars($error);
    return ['class' => get_class($error), 'message' => $error->getMessage()] + $members + [
        'otp' => $error instanceof OtpTimeout ? seen($error->otp()) : null,
        'dump' => print_r($error, true) . var_export($error, true) . $error . json_encode($error),
    ];
}

/** Everything that ways to print a value print. */
function printed(mixed $value): string
{
    ob_start();
    var_dump($value);
    return ob_get_clean() . print_r($value, true);
}

$code = "use IsmsOtp\\{Otp, OtpClient, OtpError, OtpTimeout, OtpUploadBroken, Webhook, WebhookError};\n" . $argv[1];
$otps = client();
try {
    $result = ['value' => seen(eval($code))];
} catch (Throwable $error) {
    $result = ['error' => shown($error)];
}
echo json_encode($result, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);

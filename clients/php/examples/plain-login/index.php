<?php
// Signs users in by phone number with plain PHP: a form for the number, a form for the code, and a session.
//
//   OTP_KEY=… php -S 127.0.0.1:8080 clients/php/examples/plain-login/index.php

declare(strict_types=1);

use IsmsOtp\OtpClient;
use IsmsOtp\OtpError;

// With Composer: require __DIR__ . '/vendor/autoload.php';
require __DIR__ . '/../../autoload.php';
require __DIR__ . '/pages.php';

$otps = new OtpClient(getenv('OTP_URL') ?: 'http://127.0.0.1:3000', getenv('OTP_KEY') ?: '');

/** Returns the text for an error that the user can do something about; null for other errors. */
function textFor(OtpError $error, string $path): ?string
{
    return match ($error->code) {
        'invalid_request' => $path === '/code' ? 'That is not a mobile number.' : 'A code has six digits.',
        'invalid_phone_number' => 'That is not a mobile number.',
        'country_not_allowed' => 'We cannot send codes to that country.',
        'recipient_rate_limited' => "You asked for a code a moment ago. Ask again in {$error->retryAfterSeconds} seconds.",
        'recipient_locked' => 'Too many wrong codes. Call us.',
        'incorrect_code' => "That code is wrong. Attempts left: {$error->attemptsRemaining}.",
        'already_verified' => 'That code was used already.',
        'not_verifiable' => 'That SMS went wrong. Ask for a new code.',
        'otp_expired' => 'That code is too old. Ask for a new one.',
        'attempts_exhausted' => 'Too many wrong codes. Ask for a new one.',
        'not_sent' => 'The SMS is still on its way.',
        default => null,
    };
}

/** Shows a form again with a text for the user; null means that the gateway or iSMS did not work. */
function showAgain(callable $form, ?string $text): void
{
    http_response_code($text === null ? 503 : 422);
    echo $form($text ?? 'Something went wrong. Try again in a minute.');
}

/** Gives the session a new id when its user changes: an attacker may know the old one (session fixation). */
function renewSession(array $content): void
{
    session_regenerate_id(true);
    $_SESSION = $content;
}

function redirect(string $path): never
{
    header("Location: {$path}", true, 303);
    exit;
}

/** Returns a field of the form; an empty text for a list or invalid UTF-8. */
function field(string $name): string
{
    $value = $_POST[$name] ?? null;
    return is_string($value) && preg_match('//u', $value) === 1 ? $value : '';
}

/** Tells whether a page of this app sent the form. Browsers send Sec-Fetch-Site, over plain HTTP only Origin. */
function isOwnForm(): bool
{
    if (isset($_SERVER['HTTP_SEC_FETCH_SITE'])) {
        return in_array($_SERVER['HTTP_SEC_FETCH_SITE'], ['same-origin', 'none'], true);
    }
    $host = $_SERVER['HTTP_HOST'] ?? '';
    return in_array($_SERVER['HTTP_ORIGIN'] ?? null, ["http://{$host}", "https://{$host}"], true);
}

// Browsers send a Secure cookie over HTTPS only. `php -S` has no HTTPS, so there it is off.
$isSecure = (getenv('COOKIE_SECURE') ?: (PHP_SAPI === 'cli-server' ? 'off' : 'on')) !== 'off';
session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax', 'cookie_secure' => $isSecure]);
$method = $_SERVER['REQUEST_METHOD'];
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

// Other sites must not send SMS or sign users out through a user's browser.
if ($method !== 'GET' && !isOwnForm()) {
    http_response_code(403);
    exit;
}

try {
    switch ("{$method} {$path}") {
        case 'GET /':
            echo isset($_SESSION['phone']) ? homePage($_SESSION['phone']) : phonePage();
            break;
        case 'POST /code':
            // Behind a proxy, REMOTE_ADDR is the proxy's address: pass the user's instead.
            $otp = $otps->send(
                ['to' => field('phone'), 'purpose' => 'login', 'clientIp' => $_SERVER['REMOTE_ADDR']],
                waitSeconds: 10,
            );
            if ($otp->failure !== null) {
                // Its message is for operators.
                error_log("{$otp->failure->code}: {$otp->failure->message}");
                $isWrongNumber = $otp->failure->code === 'invalid_number';
                showAgain(phonePage(...), $isWrongNumber ? 'That number cannot receive SMS.' : null);
                break;
            }
            renewSession(['otpId' => $otp->id, 'to' => $otp->to]);
            redirect('/code');
        case 'GET /code':
            echo isset($_SESSION['otpId']) ? codePage() : redirect('/');
            break;
        case 'POST /sign-in':
            if (!isset($_SESSION['otpId'])) {
                redirect('/');
            }
            // Returns only if this call verified the code; otherwise it throws, and the user is not signed in.
            $otps->verify($_SESSION['otpId'], preg_replace('/[\s-]/', '', field('code')) ?? '');
            renewSession(['phone' => $_SESSION['to']]);
            redirect('/');
        case 'POST /sign-out':
            renewSession([]);
            redirect('/');
        default:
            http_response_code(404);
    }
} catch (OtpError $error) {
    error_log($error->getMessage());
    showAgain($path === '/code' ? phonePage(...) : codePage(...), textFor($error, $path));
}

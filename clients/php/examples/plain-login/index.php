<?php
// Signs users in by phone number with plain PHP: two forms, one session, and the gateway behind them.
//
//   OTP_KEY=… php -S 127.0.0.1:8080 clients/php/examples/plain-login/index.php

declare(strict_types=1);

use IsmsOtp\OtpClient;
use IsmsOtp\OtpError;

// With Composer: require __DIR__ . '/vendor/autoload.php';
require __DIR__ . '/../../autoload.php';
require __DIR__ . '/pages.php';

$otps = new OtpClient(getenv('OTP_URL') ?: 'http://127.0.0.1:3000', getenv('OTP_KEY') ?: '');

/** The text for the user; all other errors mean the same to them: try again later. */
function textFor(OtpError $error): string
{
    return match ($error->code) {
        'invalid_phone_number' => 'That is not a mobile number.',
        'country_not_allowed' => 'We cannot send codes to that country.',
        'phone_rate_limited' => "You asked for a code a moment ago. Ask again in {$error->retryAfterSeconds} seconds.",
        'phone_locked' => 'Too many wrong codes. Call us.',
        'incorrect_code' => "That code is wrong. Attempts left: {$error->attemptsRemaining}.",
        'invalid_request' => 'A code has six digits.',
        'already_verified' => 'That code was used already.',
        'not_verifiable' => 'That SMS went wrong. Ask for a new code.',
        'otp_expired' => 'That code is too old. Ask for a new one.',
        'attempts_exhausted' => 'Too many wrong codes. Ask for a new one.',
        'not_sent' => 'The SMS is still on its way.',
        default => 'Something went wrong. Try again in a minute.',
    };
}

/** A session that changes its user gets a new id, so that nobody can have planted it. */
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

function field(string $name): string
{
    return is_string($_POST[$name] ?? null) ? $_POST[$name] : '';
}

session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax', 'cookie_secure' => isset($_SERVER['HTTPS'])]);
$method = $_SERVER['REQUEST_METHOD'];
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

// Forms of other sites must not send SMS or sign anybody out.
if ($method !== 'GET' && !in_array($_SERVER['HTTP_SEC_FETCH_SITE'] ?? 'same-origin', ['same-origin', 'none'], true)) {
    http_response_code(403);
    exit;
}

try {
    switch ("{$method} {$path}") {
        case 'GET /':
            echo isset($_SESSION['phone']) ? homePage($_SESSION['phone']) : phonePage();
            break;
        case 'POST /code':
            // Behind a proxy, REMOTE_ADDR is the proxy's: pass the user's address instead.
            $otp = $otps->send(
                ['to' => field('phone'), 'purpose' => 'login', 'clientIp' => $_SERVER['REMOTE_ADDR']],
                waitSeconds: 10,
            );
            if ($otp->failure !== null) {
                http_response_code(422);
                echo phonePage($otp->failure->message);
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
            // Returns only when this very call verified the code: after anything else, nobody is signed in.
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
    http_response_code(422);
    echo $path === '/code' ? phonePage(textFor($error)) : codePage(textFor($error));
}

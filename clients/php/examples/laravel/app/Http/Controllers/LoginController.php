<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Notifications\LoginCode;
use Illuminate\Contracts\Notifications\Dispatcher;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Notifications\AnonymousNotifiable;
use Illuminate\Validation\ValidationException;
use IsmsOtp\OtpClient;
use IsmsOtp\OtpError;

/** Signs users in by phone number. */
final class LoginController
{
    /** `regex://u` accepts UTF-8 only. */
    private const FIELD = 'required|string|max:40|regex://u';

    /** Sends a code to the number. */
    public function sendCode(Request $request, Dispatcher $notifications): JsonResponse
    {
        ['phone' => $phone] = $request->validate(['phone' => self::FIELD]);
        try {
            $user = (new AnonymousNotifiable())->route('isms-otp', $phone);
            $notifications->sendNow($user, new LoginCode($request->ip()));
        } catch (OtpError $error) {
            throw $this->invalid('phone', $error);
        }
        // RememberOtp has put the OTP's id and number into the session.
        return new JsonResponse(['sent' => true]);
    }

    /** Verifies the code; signs in only if this call verified it. */
    public function signIn(Request $request, OtpClient $otps): JsonResponse
    {
        $session = $request->session();
        if (!$session->has('otpId')) {
            throw ValidationException::withMessages(['code' => 'Ask for a code.']);
        }
        ['code' => $code] = $request->validate(['code' => self::FIELD]);
        try {
            $otps->verify($session->get('otpId'), (string) preg_replace('/[\s-]/', '', $code));
        } catch (OtpError $error) {
            throw $this->invalid('code', $error);
        }
        // With a user model: Auth::login(User::firstOrCreate(['phone' => $session->get('to')]));
        $session->regenerate(true);
        $session->forget('otpId');
        $session->put('user', $session->pull('to'));
        return new JsonResponse(['signedInAs' => $session->get('user')]);
    }

    private function invalid(string $field, OtpError $error): ValidationException
    {
        $text = match ($error->code) {
            'invalid_phone_number' => 'That is not a mobile number.',
            'recipient_rate_limited' => "Ask again in {$error->retryAfterSeconds} seconds.",
            'incorrect_code' => "That code is wrong. Attempts left: {$error->attemptsRemaining}.",
            'invalid_request' => $field === 'code' ? 'A code has six digits.' : null,
            'otp_expired', 'attempts_exhausted', 'already_verified', 'not_verifiable' => 'Ask for a new code.',
            'not_sent' => 'The SMS is still on its way.',
            default => null,
        };
        if ($text !== null) {
            return ValidationException::withMessages([$field => $text]);
        }
        report($error);
        return ValidationException::withMessages([$field => 'Something went wrong. Try again in a minute.'])->status(503);
    }
}

<?php

use App\Http\Controllers\LoginController;
use App\Http\Controllers\OtpEventController;
use Illuminate\Support\Facades\Route;

Route::middleware('web')->group(static function (): void {
    Route::post('/code', [LoginController::class, 'sendCode']);
    Route::post('/sign-in', [LoginController::class, 'signIn']);
});

// Not in `web`: the gateway has no CSRF token, its signature takes the token's place.
Route::post('/hooks/otp', OtpEventController::class)->middleware('isms-otp');

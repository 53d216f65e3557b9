<?php

return [
    // Address of the gateway.
    'url' => env('ISMS_OTP_URL', 'http://127.0.0.1:3000'),

    // API key of this app, from the gateway's operator.
    'key' => env('ISMS_OTP_KEY'),

    // Secret of webhooks, whsec_…; several during a rotation, separated by commas.
    'webhook_secret' => env('ISMS_OTP_WEBHOOK_SECRET', ''),
];

<?php

declare(strict_types=1);

namespace IsmsOtp;

/** Verifies webhooks of the gateway (Standard Webhooks, https://www.standardwebhooks.com). */
final class Webhook
{
    private const SCHEME = 'v1,';
    private const PREFIX = 'whsec_';

    /**
     * Verifies signature and age of a webhook and returns its event. Events arrive at least once: remember each `id` for
     * a day.
     *
     * @param string $payload the raw body, `file_get_contents('php://input')`; JSON that was parsed and encoded again
     *   does not match the signature
     * @param array<array-key, mixed> $headers headers of the request by name, in any case: `getallheaders()`, or with
     *   lists of values as in PSR-7 (`getHeaders()`) and Laravel (`headers->all()`)
     * @param string|list<string> $secret the secret, `whsec_…`; several during a rotation
     * @param int $toleranceSeconds largest accepted age, and clock difference, in seconds
     *
     * @throws WebhookError if it must be rejected: answer 401
     */
    public static function verify(
        #[\SensitiveParameter] string $payload,
        #[\SensitiveParameter] array $headers,
        #[\SensitiveParameter] string|array $secret,
        int $toleranceSeconds = 300,
    ): WebhookEvent {
        $id = self::header($headers, 'webhook-id');
        $timestamp = self::header($headers, 'webhook-timestamp');
        $signatures = explode(' ', self::header($headers, 'webhook-signature'));
        $apart = abs(time() - (int) $timestamp);
        if (preg_match('/^\d{1,12}$/D', $timestamp) !== 1 || $apart > $toleranceSeconds) {
            throw new WebhookError('outside_tolerance', 'webhook-timestamp differs too much from this clock');
        }
        foreach ((array) $secret as $each) {
            $digest = hash_hmac('sha256', "{$id}.{$timestamp}.{$payload}", self::secretBytes($each), true);
            $expected = self::SCHEME . base64_encode($digest);
            // Compares all, so that the time does not tell which one matches.
            $matching = array_filter($signatures, static fn (string $found): bool => hash_equals($expected, $found));
            if ($matching !== []) {
                return self::event($id, $payload);
            }
        }
        throw new WebhookError('wrong_signature', 'no signature matches a secret');
    }

    /** @param array<array-key, mixed> $headers */
    private static function header(#[\SensitiveParameter] array $headers, string $name): string
    {
        $values = [];
        foreach ($headers as $key => $value) {
            if (strtolower((string) $key) === $name) {
                $values = [...$values, ...array_values((array) $value)];
            }
        }
        // A repeated header is ambiguous.
        if (count($values) === 1 && is_string($values[0]) && $values[0] !== '') {
            return $values[0];
        }
        throw new WebhookError('missing_header', "{$name} is missing");
    }

    private static function secretBytes(#[\SensitiveParameter] string $secret): string
    {
        $text = str_starts_with($secret, self::PREFIX) ? substr($secret, strlen(self::PREFIX)) : $secret;
        $bytes = base64_decode($text, true);
        if ($bytes === false || $bytes === '') {
            throw new WebhookError('invalid_secret', 'a secret must be whsec_ followed by base64');
        }
        return $bytes;
    }

    private static function event(string $id, #[\SensitiveParameter] string $payload): WebhookEvent
    {
        $event = json_decode($payload, true);
        if (is_array($event)) {
            ['type' => $type, 'timestamp' => $timestamp, 'data' => $data] = $event + ['type' => null, 'timestamp' => null, 'data' => null];
            if (is_string($type) && is_string($timestamp) && is_array($data)) {
                /** @var array<string, mixed> $data */
                return new WebhookEvent($id, $type, $timestamp, $data);
            }
        }
        throw new WebhookError('invalid_payload', 'the body is not an event');
    }
}

<?php

declare(strict_types=1);

namespace IsmsOtp;

/** Verifies webhooks of the gateway (Standard Webhooks, https://www.standardwebhooks.com). */
final class Webhook
{
    private const SCHEME = 'v1,';
    private const PREFIX = 'whsec_';
    private const SHORTEST_SECRET = 24;
    private const LONGEST_SECRET = 64;

    /**
     * Verifies signature and age of a webhook and returns its event. Events arrive at least once: remember each `id` for
     * a day.
     *
     * @param string $payload the raw body, `file_get_contents('php://input')`; JSON that was parsed and encoded again
     *   does not match the signature
     * @param array<array-key, mixed> $headers headers of the request by name, in any case: `getallheaders()`, or with
     *   lists of values as in PSR-7 (`getHeaders()`) and Laravel (`headers->all()`)
     * @param string|list<string>|null $secret the secret, `whsec_…`; during a rotation several, as a list or separated by
     *   commas, as in the gateway's WEBHOOK_SECRET
     * @param int $toleranceSeconds largest accepted age, and clock difference, in seconds
     *
     * @throws WebhookError if it must be rejected: answer 401, except to `invalid_secret`, an error of the receiver
     */
    public static function verify(
        #[\SensitiveParameter] string $payload,
        #[\SensitiveParameter] array $headers,
        #[\SensitiveParameter] string|array|null $secret,
        int $toleranceSeconds = 300,
    ): WebhookEvent {
        $keys = self::keys($secret);
        $id = self::header($headers, 'webhook-id');
        $timestamp = self::header($headers, 'webhook-timestamp');
        $signatures = explode(' ', self::header($headers, 'webhook-signature'));
        $apart = abs(time() - (int) $timestamp);
        if (preg_match('/^\d{1,12}$/D', $timestamp) !== 1 || $apart > $toleranceSeconds) {
            throw new WebhookError('outside_tolerance', 'webhook-timestamp differs too much from this clock');
        }
        foreach ($keys as $key) {
            $digest = hash_hmac('sha256', "{$id}.{$timestamp}.{$payload}", $key, true);
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

    /**
     * Decodes all secrets before the request is looked at, so that no delivery hides a wrong one.
     *
     * @param string|list<string>|null $secret
     *
     * @return list<string>
     */
    private static function keys(#[\SensitiveParameter] string|array|null $secret): array
    {
        $secrets = is_array($secret) ? $secret : explode(',', $secret ?? '');
        $keys = [];
        // Not array_map, whose arguments traces show.
        foreach ($secrets as $each) {
            $keys[] = self::key($each);
        }
        return $keys === [] ? throw self::invalidSecret() : $keys;
    }

    private static function key(#[\SensitiveParameter] string $secret): string
    {
        $secret = trim($secret);
        $text = str_starts_with($secret, self::PREFIX) ? substr($secret, strlen(self::PREFIX)) : $secret;
        $bytes = base64_decode($text, true);
        $length = strlen((string) $bytes);
        $isKey = $length >= self::SHORTEST_SECRET && $length <= self::LONGEST_SECRET;
        return $isKey ? (string) $bytes : throw self::invalidSecret();
    }

    private static function invalidSecret(): WebhookError
    {
        return new WebhookError('invalid_secret', 'a secret must be whsec_ and 24 to 64 bytes in base64');
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

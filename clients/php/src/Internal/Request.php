<?php

declare(strict_types=1);

namespace IsmsOtp\Internal;

/**
 * A call of the API.
 *
 * @internal
 */
final class Request
{
    private const LONGEST_WAIT_SECONDS = 30;

    public readonly ?string $idempotencyKey;

    /** JSON; null for a call without a body. */
    public readonly ?string $body;

    /**
     * @param string $path under the base URL, with its query
     * @param array<string, mixed>|null $body
     * @param bool $keyed whether it changes something, so that it needs an idempotency key: a new one if none is given
     * @param bool $isVerification decides on retries (see Retry) and on the default time-out
     */
    public function __construct(
        public readonly string $method,
        #[\SensitiveParameter] public readonly string $path,
        #[\SensitiveParameter] ?array $body = null,
        bool $keyed = false,
        ?string $idempotencyKey = null,
        public readonly ?int $timeoutMs = null,
        public readonly ?int $waitSeconds = null,
        public readonly bool $isVerification = false,
    ) {
        if ($timeoutMs !== null) {
            Settings::checkedTimeoutMs($timeoutMs);
        }
        if ($waitSeconds !== null && ($waitSeconds < 0 || $waitSeconds > self::LONGEST_WAIT_SECONDS)) {
            throw new \InvalidArgumentException('waitSeconds must be 0 to ' . self::LONGEST_WAIT_SECONDS);
        }
        $this->idempotencyKey = $keyed ? self::checkedKey($idempotencyKey) : null;
        $this->body = $body === null ? null : self::encode($body);
    }

    /** Returns the key, or a new one; throws an InvalidArgumentException for an invalid one. */
    public static function checkedKey(?string $key): string
    {
        $key ??= bin2hex(random_bytes(16));
        if (preg_match('/^[\x21-\x7e]{1,255}$/D', $key) === 1) {
            return $key;
        }
        throw new \InvalidArgumentException('idempotencyKey must be 1 to 255 visible ASCII characters, no spaces');
    }

    /** Encodes an id for a path; throws an InvalidArgumentException for one that would change the path. */
    public static function inPath(string $id): string
    {
        if (in_array($id, ['', '.', '..'], true)) {
            throw new \InvalidArgumentException('the id must be one that the gateway returned');
        }
        return rawurlencode($id);
    }

    /**
     * Returns a query of the members that are not null, or an empty text.
     *
     * @param array<string, string|int|null> $members
     */
    public static function query(#[\SensitiveParameter] array $members): string
    {
        $query = http_build_query($members, '', '&', PHP_QUERY_RFC3986);
        return $query === '' ? '' : "?{$query}";
    }

    /** A time as the gateway reads it. */
    public static function timeText(\DateTimeInterface|string|null $time): ?string
    {
        if (!$time instanceof \DateTimeInterface) {
            return $time;
        }
        $utc = \DateTimeImmutable::createFromInterface($time)->setTimezone(new \DateTimeZone('UTC'));
        return $utc->format('Y-m-d\TH:i:s.v\Z');
    }

    /**
     * Encodes a JSON object; throws an InvalidArgumentException that quotes nothing of it.
     *
     * @param array<array-key, mixed> $members
     */
    public static function encode(#[\SensitiveParameter] array $members): string
    {
        $json = json_encode((object) $members, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION);
        return is_string($json) ? $json : throw new \InvalidArgumentException('the input is not JSON: ' . json_last_error_msg());
    }

    /**
     * Leaves out members that are null, for which the gateway has defaults, and empty arrays, which would be JSON lists.
     *
     * @param array<array-key, mixed> $members
     *
     * @return array<array-key, mixed>
     */
    public static function withoutNulls(#[\SensitiveParameter] array $members): array
    {
        return array_filter($members, static fn (mixed $value): bool => $value !== null && $value !== []);
    }
}

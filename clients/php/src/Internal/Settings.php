<?php

declare(strict_types=1);

namespace IsmsOtp\Internal;

/**
 * The options of a client, checked and completed.
 *
 * @internal
 */
final class Settings
{
    private const TIMEOUT_MS = 10_000;
    /** Longer than the gateway waits for iSMS. */
    private const VERIFY_TIMEOUT_MS = 15_000;
    private const LONGEST_TIMEOUT_MS = 2_147_483_647;

    /** Ends without a slash. */
    public readonly string $baseUrl;
    public readonly int $timeoutMs;
    public readonly int $verifyTimeoutMs;

    /** @var Secret<string> value of the Authorization header */
    public readonly Secret $authorization;

    /** @var Secret<array<int, mixed>> may hold the login of a proxy */
    public readonly Secret $curlOptions;

    /** @param array<int, mixed> $curlOptions */
    public function __construct(
        #[\SensitiveParameter] string $baseUrl,
        #[\SensitiveParameter] string $apiKey,
        ?int $timeoutMs,
        public readonly int $retries,
        #[\SensitiveParameter] array $curlOptions,
    ) {
        if ($apiKey === '') {
            throw new \InvalidArgumentException(
                'apiKey is empty; pass the key of your app (npm start of the gateway prints one)',
            );
        }
        if (preg_match('/^[\x21-\x7e]+$/D', $apiKey) !== 1) {
            throw new \InvalidArgumentException('apiKey must be visible ASCII characters, no spaces');
        }
        if ($retries < 0) {
            throw new \InvalidArgumentException('retries must be at least 0');
        }
        Http::setOptions(curl_init(), $curlOptions);
        $this->baseUrl = self::checkedUrl($baseUrl);
        $this->timeoutMs = self::checkedTimeoutMs($timeoutMs ?? self::TIMEOUT_MS);
        $this->verifyTimeoutMs = $timeoutMs ?? self::VERIFY_TIMEOUT_MS;
        $this->authorization = new Secret("Bearer {$apiKey}");
        $this->curlOptions = new Secret($curlOptions);
    }

    /** Throws an InvalidArgumentException for milliseconds that cURL cannot count. */
    public static function checkedTimeoutMs(int $ms): int
    {
        if ($ms > 0 && $ms <= self::LONGEST_TIMEOUT_MS) {
            return $ms;
        }
        throw new \InvalidArgumentException(
            'timeouts must be more than 0 ms and at most ' . self::LONGEST_TIMEOUT_MS . ' ms',
        );
    }

    /** Does not quote the value: it may have a login. */
    private static function checkedUrl(#[\SensitiveParameter] string $text): string
    {
        $url = parse_url($text);
        if (!is_array($url) || ($url['host'] ?? '') === '' || preg_match('/^https?:\/\/[^\s\0]+$/Di', $text) !== 1) {
            throw new \InvalidArgumentException('baseUrl must be an http or https URL, such as https://otp.example');
        }
        if (array_intersect_key($url, ['user' => 1, 'pass' => 1, 'query' => 1, 'fragment' => 1]) !== []) {
            throw new \InvalidArgumentException('baseUrl must have no login, no query and no fragment');
        }
        return rtrim($text, '/');
    }
}

<?php

declare(strict_types=1);

namespace IsmsOtp\Internal;

use IsmsOtp\OtpError;

/**
 * Makes calls, with retries where they are safe.
 *
 * Each try has a connection of its own: on a kept one that the server has closed, libcurl silently repeats the request,
 * also a verification that was counted.
 *
 * @internal
 */
final class Http
{
    public function __construct(private readonly Settings $settings)
    {
    }

    /**
     * Makes a call and returns what `$read` makes of the answer; null if it has no body. Throws an OtpError.
     *
     * @template T
     *
     * @param callable(Json): T $read throws an UnexpectedValueException for an answer that is not the gateway's
     *
     * @return T
     */
    public function call(#[\SensitiveParameter] Request $request, callable $read): mixed
    {
        return $this->retried($request, function (float $ms) use ($request, $read): mixed {
            $answer = $this->exchange($request, $ms);
            $json = Json::parse($answer->text);
            if ($json === null) {
                throw $answer->invalid($request->idempotencyKey);
            }
            try {
                return $read($json);
            } catch (\UnexpectedValueException) {
                throw $answer->invalid($request->idempotencyKey);
            }
        });
    }

    /** Makes a call that is answered without a body. Throws an OtpError. */
    public function callWithoutAnswer(Request $request): void
    {
        $this->retried($request, function (float $ms) use ($request): bool {
            $answer = $this->exchange($request, $ms);
            return $answer->status === 204 ? true : throw $answer->invalid($request->idempotencyKey);
        });
    }

    /**
     * Sends a request over a connection of its own and reads the answer to its end.
     *
     * @param list<string> $headers
     * @param array<int, mixed> $options options of cURL for this request
     *
     * @throws OtpError `network_error` or `timeout`
     */
    public function send(
        string $method,
        #[\SensitiveParameter] string $path,
        #[\SensitiveParameter] array $headers,
        #[\SensitiveParameter] array $options,
        #[\SensitiveParameter] Answer $answer,
        ?string $idempotencyKey,
    ): void {
        $handle = curl_init();
        self::setOptions($handle, $this->settings->curlOptions->reveal());
        self::setOptions($handle, $options + [
            CURLOPT_URL => $this->settings->baseUrl . $path,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => ['Authorization: ' . $this->settings->authorization->reveal(), 'Expect:', ...$headers],
            // The API key must reach no other host.
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_NOSIGNAL => true,
            CURLOPT_HEADERFUNCTION => static function (\CurlHandle $handle, string $line) use ($answer): int {
                $answer->addHeaderLine($line);
                return strlen($line);
            },
            CURLOPT_WRITEFUNCTION => static function (\CurlHandle $handle, #[\SensitiveParameter] string $bytes) use ($answer): int {
                $answer->text .= $bytes;
                return strlen($bytes);
            },
        ]);
        if (curl_exec($handle) === false) {
            throw self::networkError(curl_errno($handle), $idempotencyKey);
        }
    }

    /**
     * Sets options one by one: `curl_setopt_array` stops at the first one that cURL rejects. Drops warnings and errors, whose
     * traces hold the value.
     *
     * @param array<array-key, mixed> $options
     *
     * @throws \InvalidArgumentException for an option that cURL rejects
     */
    public static function setOptions(\CurlHandle $handle, #[\SensitiveParameter] array $options): void
    {
        foreach ($options as $option => $value) {
            try {
                $isSet = @curl_setopt($handle, $option, $value);
            } catch (\Throwable) {
                $isSet = false;
            }
            if (!$isSet) {
                throw new \InvalidArgumentException("cURL rejects option {$option} of curlOptions");
            }
        }
    }

    /** Without the message of cURL, which may quote the URL. */
    private static function networkError(int $number, ?string $idempotencyKey): OtpError
    {
        if ($number === CURLE_OPERATION_TIMEDOUT) {
            return new OtpError('timeout', 'The gateway did not answer in time.', idempotencyKey: $idempotencyKey);
        }
        $reason = curl_strerror($number) ?? "cURL error {$number}";
        return new OtpError('network_error', "The gateway did not answer ({$reason}).", idempotencyKey: $idempotencyKey);
    }

    /**
     * @template T
     *
     * @param callable(float): T $try gets the milliseconds that it may take
     *
     * @return T
     */
    private function retried(#[\SensitiveParameter] Request $request, #[\SensitiveParameter] callable $try): mixed
    {
        $until = self::nowMs() + $this->limitMs($request);
        $before = null;
        for ($failed = 1; ; $failed += 1) {
            $leftMs = $until - self::nowMs();
            // A connection may be dead without an error, so a try leaves half of the time to later ones.
            $isWhole = $failed > $this->settings->retries || $request->isVerification || $request->waitSeconds !== null;
            try {
                return $try($isWhole ? $leftMs : $leftMs / 2);
            } catch (OtpError $error) {
                $pauseMs = Retry::pauseMs($error, $request->isVerification, $failed, $this->settings->retries, $before);
                if ($pauseMs === null || self::nowMs() + $pauseMs >= $until) {
                    throw $error;
                }
                self::pause($pauseMs);
                $before = $error;
            }
        }
    }

    private function limitMs(Request $request): float
    {
        $usual = $request->isVerification ? $this->settings->verifyTimeoutMs : $this->settings->timeoutMs;
        return ($request->timeoutMs ?? $usual) + ($request->waitSeconds ?? 0) * 1_000;
    }

    /** Returns an answer with a status of success; throws the OtpError of another one. */
    private function exchange(#[\SensitiveParameter] Request $request, float $ms): Answer
    {
        $headers = ['Accept: application/json, application/problem+json'];
        $options = [CURLOPT_TIMEOUT_MS => max(1, (int) ceil($ms))];
        if ($request->body !== null || $request->method === 'POST') {
            $options[CURLOPT_POSTFIELDS] = $request->body ?? '';
            // Without a value it replaces the one that cURL gives to bodies.
            $headers[] = $request->body === null ? 'Content-Type:' : 'Content-Type: application/json';
        }
        if ($request->idempotencyKey !== null) {
            $headers[] = "Idempotency-Key: {$request->idempotencyKey}";
        }
        if ($request->waitSeconds !== null) {
            $headers[] = "Prefer: wait={$request->waitSeconds}";
        }
        $answer = new Answer();
        $this->send($request->method, $request->path, $headers, $options, $answer, $request->idempotencyKey);
        return $answer->isSuccess() ? $answer : throw $answer->error($request->idempotencyKey);
    }

    /** A clock that only goes forward, in milliseconds. */
    public static function nowMs(): float
    {
        return hrtime(true) / 1_000_000;
    }

    /** Waits. */
    public static function pause(float $ms): void
    {
        if ($ms > 0) {
            usleep((int) ($ms * 1_000));
        }
    }
}

<?php

declare(strict_types=1);

namespace IsmsOtp\Internal;

use IsmsOtp\InputMistake;
use IsmsOtp\OtpError;

/**
 * Status, headers and body of an answer, as they arrive.
 *
 * @internal
 */
final class Answer
{
    public int $status = 0;
    public string $text = '';

    /** @var array<string, string> by name in lower case */
    private array $headers = [];

    /** Reads a line of the head; a new status line begins a new answer, as after 100 Continue. */
    public function addHeaderLine(string $line): void
    {
        if (preg_match('/^HTTP\/\S+ (\d{3})/', $line, $match) === 1) {
            $this->status = (int) $match[1];
            $this->headers = [];
            return;
        }
        [$name, $value] = explode(':', $line, 2) + [1 => ''];
        $this->headers[strtolower(trim($name))] = trim($value);
    }

    public function header(string $name): ?string
    {
        return $this->headers[$name] ?? null;
    }

    public function isSuccess(): bool
    {
        return $this->status >= 200 && $this->status <= 299;
    }

    /** Returns its error: its problem document, or `invalid_answer` if the gateway did not write it. */
    public function error(?string $idempotencyKey): OtpError
    {
        $problem = json_decode($this->text, true);
        if (!is_array($problem) || !is_string($problem['code'] ?? null)) {
            return $this->invalid($idempotencyKey);
        }
        $detail = $problem['detail'] ?? $problem['title'] ?? null;
        $attempts = $problem['attemptsRemaining'] ?? null;
        $errors = [];
        foreach (is_array($problem['errors'] ?? null) ? $problem['errors'] : [] as $error) {
            if (is_array($error) && is_string($error['path'] ?? null) && is_string($error['message'] ?? null)) {
                $errors[] = new InputMistake($error['path'], $error['message']);
            }
        }
        return new OtpError(
            $problem['code'],
            is_string($detail) ? $detail : 'The gateway rejected the call.',
            status: $this->status,
            errors: $errors,
            retryAfterSeconds: $this->retryAfterSeconds(),
            requestId: $this->header('x-request-id'),
            attemptsRemaining: is_int($attempts) ? $attempts : null,
            idempotencyKey: $idempotencyKey,
        );
    }

    /** The error of an answer that is incomplete or not the gateway's, such as a proxy's. */
    public function invalid(?string $idempotencyKey): OtpError
    {
        return new OtpError(
            'invalid_answer',
            "The answer is not the gateway's (status {$this->status}).",
            status: $this->status,
            retryAfterSeconds: $this->retryAfterSeconds(),
            requestId: $this->header('x-request-id'),
            idempotencyKey: $idempotencyKey,
        );
    }

    /** Reads Retry-After in seconds, as the gateway writes it; ignores a date. */
    private function retryAfterSeconds(): ?int
    {
        $text = $this->header('retry-after') ?? '';
        return preg_match('/^\d{1,9}$/D', $text) === 1 ? (int) $text : null;
    }
}

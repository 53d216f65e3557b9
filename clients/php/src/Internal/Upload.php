<?php

declare(strict_types=1);

namespace IsmsOtp\Internal;

use IsmsOtp\OtpError;
use IsmsOtp\OtpUploadBroken;
use IsmsOtp\UploadResult;
use IsmsOtp\UploadSummary;

/**
 * An upload of OTPs as one batch, with its state across tries under one key.
 *
 * @internal
 */
final class Upload
{
    private const NDJSON = 'application/x-ndjson';
    private const LINES_AT_A_TIME = 200;
    /** Ends a transfer (CURL_READFUNC_ABORT), for which PHP has no name. */
    private const ABORT_READING = 0x10000000;

    /** Temporary rejections. */
    private const PASSING = [
        'queue_unavailable',
        'overloaded',
        'app_rate_limited',
        'sending_paused',
        'app_paused',
        'too_many_rejected',
    ];

    private ?string $batchId = null;
    private int $linesAnswered = 0;
    /** Lines before this one have been given to `onResult`. */
    private int $nextIndex = 0;
    /** @var array<int, true> those of them that were rejected temporarily, and that a retry may accept */
    private array $refusedForNow = [];

    /**
     * @param string $query name, start and pace
     * @param array<array-key, mixed> $defaults
     * @param (callable(UploadResult): mixed)|null $onResult
     */
    public function __construct(
        private readonly Http $http,
        private readonly string $idempotencyKey,
        private readonly string $query,
        #[\SensitiveParameter] private readonly array $defaults,
        private readonly mixed $onResult,
        private readonly int $silenceMs,
    ) {
    }

    /**
     * @param iterable<array<array-key, mixed>>|\Closure(): iterable<array<array-key, mixed>> $inputs
     *
     * @throws OtpError
     */
    public function run(#[\SensitiveParameter] iterable|\Closure $inputs, int $retries): UploadSummary
    {
        $retries = is_array($inputs) || $inputs instanceof \Closure ? $retries : 0;
        for ($failed = 1; ; $failed += 1) {
            try {
                return $this->once($inputs instanceof \Closure ? $inputs() : $inputs);
            } catch (OtpError $error) {
                $pauseMs = Retry::pauseMs($error, false, $failed, $retries);
                if ($pauseMs === null) {
                    throw $this->brokenOr($error);
                }
                Http::pause($pauseMs);
            }
        }
    }

    /** An error of the gateway itself is not a broken upload. */
    private function brokenOr(OtpError $error): OtpError
    {
        $isBroken = $error->is('network_error', 'timeout', 'invalid_answer');
        return $isBroken ? new OtpUploadBroken($error, $this->batchId, $this->linesAnswered) : $error;
    }

    /**
     * Throws an OtpError for errors of the network and the gateway, others for errors of the caller.
     *
     * @param iterable<array<array-key, mixed>> $inputs
     */
    private function once(#[\SensitiveParameter] iterable $inputs): UploadSummary
    {
        $answer = new Answer();
        $chunks = $this->chunks($inputs);
        $isBegun = false;
        $rest = '';
        $summary = null;
        $thrown = null;
        $read = static function (
            \CurlHandle $handle,
            mixed $file,
            int $length,
        ) use (
            $chunks,
            &$isBegun,
            &$rest,
            &$thrown,
        ): string|int {
            try {
                if ($rest === '') {
                    if ($isBegun) {
                        $chunks->next();
                    }
                    $isBegun = true;
                    $rest = $chunks->valid() ? $chunks->current() : '';
                }
                $bytes = substr($rest, 0, $length);
                $rest = substr($rest, $length);
                return $bytes;
            } catch (\Throwable $error) {
                $thrown = $error;
                return self::ABORT_READING;
            }
        };
        $write = function (
            \CurlHandle $handle,
            #[\SensitiveParameter] string $bytes,
        ) use (
            $answer,
            &$summary,
            &$thrown,
        ): int {
            $answer->text .= $bytes;
            try {
                if ($answer->status === 202) {
                    $summary = $this->readResults($answer) ?? $summary;
                }
                return strlen($bytes);
            } catch (\Throwable $error) {
                $thrown = $error;
                return -1;
            }
        };
        $options = [
            CURLOPT_UPLOAD => true,
            CURLOPT_READFUNCTION => $read,
            CURLOPT_WRITEFUNCTION => $write,
            CURLOPT_LOW_SPEED_LIMIT => 1,
            CURLOPT_LOW_SPEED_TIME => (int) ceil($this->silenceMs / 1_000),
        ];
        $headers = [
            'Accept: ' . self::NDJSON . ', application/problem+json',
            'Content-Type: ' . self::NDJSON,
            "Idempotency-Key: {$this->idempotencyKey}",
        ];
        try {
            $this->http->send('POST', "/v1/otps/bulk{$this->query}", $headers, $options, $answer, $this->idempotencyKey);
        } catch (OtpError $error) {
            // With its summary the upload is complete, however the connection ends.
            if ($thrown === null && $summary === null) {
                throw $error;
            }
        }
        if ($thrown !== null) {
            throw $thrown;
        }
        if ($answer->status !== 202) {
            throw $answer->error($this->idempotencyKey);
        }
        return $summary ?? throw new OtpError(
            'network_error',
            'The gateway did not answer to the end.',
            idempotencyKey: $this->idempotencyKey,
        );
    }

    /**
     * @param iterable<array<array-key, mixed>> $inputs
     *
     * @return \Generator<int, string> lines, many at a time
     */
    private function chunks(#[\SensitiveParameter] iterable $inputs): \Generator
    {
        $chunk = '';
        $lines = 0;
        foreach ($inputs as $input) {
            $chunk .= Request::encode(Request::withoutNulls($input + $this->defaults)) . "\n";
            $lines += 1;
            if ($lines % self::LINES_AT_A_TIME === 0) {
                yield $chunk;
                $chunk = '';
            }
        }
        if ($chunk !== '') {
            yield $chunk;
        }
    }

    /** Reads the complete lines of an answer and leaves the rest; returns the summary if it was among them. */
    private function readResults(Answer $answer): ?UploadSummary
    {
        preg_match('/\/v1\/batches\/([^\/]+)$/D', $answer->header('location') ?? '', $match);
        $this->batchId = $match[1] ?? $this->batchId;
        $lines = explode("\n", $answer->text);
        $answer->text = array_pop($lines);
        $summary = null;
        foreach (array_filter($lines, static fn (string $line): bool => trim($line) !== '') as $line) {
            $json = Json::parse($line) ?? throw $answer->invalid($this->idempotencyKey);
            try {
                if ($json->has('summary')) {
                    $summary = new UploadSummary($json->object('summary'));
                    continue;
                }
                $result = new UploadResult($json);
            } catch (\UnexpectedValueException) {
                throw $answer->invalid($this->idempotencyKey);
            }
            $this->tell($result);
        }
        return $summary;
    }

    /** Skips results of an earlier try, except a line that was rejected temporarily and is accepted now. */
    private function tell(UploadResult $result): void
    {
        $index = $result->index;
        $isPassing = in_array($result->code, self::PASSING, true);
        if ($index < $this->nextIndex) {
            if ($isPassing || !isset($this->refusedForNow[$index])) {
                return;
            }
            unset($this->refusedForNow[$index]);
        } else {
            $this->nextIndex = $index + 1;
            $this->linesAnswered += 1;
            if ($isPassing) {
                $this->refusedForNow[$index] = true;
            }
        }
        if ($this->onResult !== null) {
            ($this->onResult)($result);
        }
    }
}

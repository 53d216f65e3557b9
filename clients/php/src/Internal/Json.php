<?php

declare(strict_types=1);

namespace IsmsOtp\Internal;

/**
 * A JSON object of an answer, read member by member. A member of another type throws an UnexpectedValueException, which
 * becomes `invalid_answer`.
 *
 * @internal
 */
final class Json
{
    /** @param array<array-key, mixed> $members */
    private function __construct(#[\SensitiveParameter] private readonly array $members)
    {
    }

    /** Parses a JSON object; null for anything else. */
    public static function parse(#[\SensitiveParameter] string $text): ?self
    {
        $value = json_decode($text);
        return $value instanceof \stdClass ? self::of($value) : null;
    }

    public function has(string $name): bool
    {
        return isset($this->members[$name]);
    }

    public function text(string $name): string
    {
        return $this->textOrNull($name) ?? throw self::missing($name);
    }

    public function textOrNull(string $name): ?string
    {
        $value = $this->members[$name] ?? null;
        return $value === null || is_string($value) ? $value : throw self::missing($name);
    }

    public function integer(string $name): int
    {
        return $this->integerOrNull($name) ?? throw self::missing($name);
    }

    public function integerOrNull(string $name): ?int
    {
        $value = $this->members[$name] ?? null;
        return $value === null || is_int($value) ? $value : throw self::missing($name);
    }

    public function number(string $name): float
    {
        return $this->numberOrNull($name) ?? throw self::missing($name);
    }

    public function numberOrNull(string $name): ?float
    {
        $value = $this->members[$name] ?? null;
        if ($value === null) {
            return null;
        }
        return is_int($value) || is_float($value) ? (float) $value : throw self::missing($name);
    }

    public function boolean(string $name): bool
    {
        $value = $this->members[$name] ?? null;
        return is_bool($value) ? $value : throw self::missing($name);
    }

    public function object(string $name): self
    {
        return $this->objectOrNull($name) ?? throw self::missing($name);
    }

    public function objectOrNull(string $name): ?self
    {
        $value = $this->members[$name] ?? null;
        if ($value === null) {
            return null;
        }
        return $value instanceof \stdClass ? self::of($value) : throw self::missing($name);
    }

    /** @return list<self> */
    public function objects(string $name): array
    {
        $value = $this->members[$name] ?? null;
        if (!is_array($value)) {
            throw self::missing($name);
        }
        return array_map(
            static fn (mixed $item): self => $item instanceof \stdClass ? self::of($item) : throw self::missing($name),
            array_values($value),
        );
    }

    /** @return array<string, int> */
    public function counts(string $name): array
    {
        $counts = [];
        foreach ($this->object($name)->members as $key => $count) {
            $counts[(string) $key] = is_int($count) ? $count : throw self::missing($name);
        }
        return $counts;
    }

    private static function of(#[\SensitiveParameter] \stdClass $value): self
    {
        return new self(get_object_vars($value));
    }

    private static function missing(string $name): \UnexpectedValueException
    {
        return new \UnexpectedValueException("{$name} is missing, or has another type");
    }
}

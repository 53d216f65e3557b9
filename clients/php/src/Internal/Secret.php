<?php

declare(strict_types=1);

namespace IsmsOtp\Internal;

/**
 * Keeps a value out of dumps, exports, casts, serialized objects and traces: the object itself holds nothing.
 *
 * @template T
 *
 * @internal
 */
final class Secret
{
    /** @var \WeakMap<object, mixed>|null */
    private static ?\WeakMap $values = null;

    /** @param T $value */
    public function __construct(#[\SensitiveParameter] mixed $value)
    {
        self::$values ??= new \WeakMap();
        self::$values[$this] = $value;
    }

    /** @return T */
    public function reveal(): mixed
    {
        /** @var T */
        return self::$values[$this] ?? null;
    }

    private function __clone()
    {
    }

    /** @return never */
    public function __serialize(): array
    {
        throw new \LogicException('A secret cannot be serialized.');
    }
}

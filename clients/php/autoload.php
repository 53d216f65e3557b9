<?php

declare(strict_types=1);

// Loads the client's classes in apps without Composer: require '/path/to/clients/php/autoload.php';
spl_autoload_register(static function (string $class): void {
    if (!str_starts_with($class, 'IsmsOtp\\')) {
        return;
    }
    $path = __DIR__ . '/src/' . strtr(substr($class, strlen('IsmsOtp\\')), '\\', '/') . '.php';
    if (is_file($path)) {
        require $path;
    }
});

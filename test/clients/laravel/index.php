<?php
// A Laravel app around clients/php/examples/laravel, run by `php -S` in a folder that has both.

declare(strict_types=1);

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Exceptions\Handler;
use Illuminate\Http\Request;
use Illuminate\Log\Events\MessageLogged;

require 'Illuminate/autoload.php';
require getenv('CLIENT_AUTOLOAD');
spl_autoload_register(static function (string $class): void {
    $path = __DIR__ . '/' . lcfirst(strtr($class, '\\', '/')) . '.php';
    if (str_starts_with($class, 'App\\') && is_file($path)) {
        require $path;
    }
});

/** As in a new app. */
final class AppKernel extends Illuminate\Foundation\Http\Kernel
{
    protected $middlewareGroups = [
        'web' => [
            Illuminate\Cookie\Middleware\EncryptCookies::class,
            Illuminate\Cookie\Middleware\AddQueuedCookiesToResponse::class,
            Illuminate\Session\Middleware\StartSession::class,
            Illuminate\View\Middleware\ShareErrorsFromSession::class,
            Illuminate\Foundation\Http\Middleware\VerifyCsrfToken::class,
            Illuminate\Routing\Middleware\SubstituteBindings::class,
        ],
    ];
}

$app = new Application(__DIR__);
$app->singleton(Kernel::class, AppKernel::class);
$app->singleton(ExceptionHandler::class, Handler::class);
$app->booted(static function (Application $app): void {
    // While this file exists, handling an event fails.
    $app['events']->listen(MessageLogged::class, static function (MessageLogged $logged): void {
        if ($logged->message === 'OTP event' && is_file(__DIR__ . '/storage/broken')) {
            throw new RuntimeException('storage/broken exists');
        }
    });
    $app['router']->middleware('web')->get('/', static fn (Request $request): array => [
        'token' => csrf_token(),
        'session' => $request->session()->getId(),
        'user' => $request->session()->get('user'),
    ]);
});
$kernel = $app->make(Kernel::class);
$response = $kernel->handle($request = Request::capture())->send();
$kernel->terminate($request, $response);

<?php

declare(strict_types=1);

namespace App\Providers;

use App\Http\Middleware\VerifyIsmsOtpWebhook;
use App\Listeners\RememberOtp;
use App\Notifications\IsmsOtpChannel;
use Illuminate\Contracts\Config\Repository;
use Illuminate\Contracts\Container\Container;
use Illuminate\Contracts\Events\Dispatcher;
use Illuminate\Notifications\ChannelManager;
use Illuminate\Notifications\Events\NotificationSent;
use Illuminate\Routing\Router;
use Illuminate\Support\ServiceProvider;
use IsmsOtp\OtpClient;

/** Makes the client injectable; adds the notification channel and the middleware `isms-otp`, and the routes. */
final class IsmsOtpServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->app->singleton(OtpClient::class, static function (Container $app): OtpClient {
            $config = $app->make(Repository::class);
            return new OtpClient((string) $config->get('isms-otp.url'), (string) $config->get('isms-otp.key'));
        });
        $this->app->when(VerifyIsmsOtpWebhook::class)->needs('$secret')->give(
            static fn (Container $app): string => (string) $app->make(Repository::class)->get('isms-otp.webhook_secret'),
        );
        $this->app->resolving(ChannelManager::class, static function (ChannelManager $channels, Container $app): void {
            $channels->extend('isms-otp', static fn (): IsmsOtpChannel => $app->make(IsmsOtpChannel::class));
        });
    }

    public function boot(Router $router, Dispatcher $events): void
    {
        $this->loadRoutesFrom($this->app->basePath('routes/isms-otp.php'));
        $events->listen(NotificationSent::class, RememberOtp::class);
        $router->aliasMiddleware('isms-otp', VerifyIsmsOtpWebhook::class);
    }
}

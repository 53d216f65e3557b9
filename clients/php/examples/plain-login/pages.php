<?php

declare(strict_types=1);

function page(string $title, string $body): string
{
    return <<<HTML
    <!doctype html>
    <html lang="en">
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>{$title}</title>
    <style>
      body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 22rem; margin: 4rem auto; padding: 0 1rem; }
      label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
      input, button { padding: .6rem; margin: .3rem 0 1rem; }
      [role=alert] { color: #b00020; }
    </style>
    <h1>{$title}</h1>
    {$body}
    HTML;
}

function alert(?string $problem): string
{
    return $problem === null ? '' : '<p role="alert">' . htmlspecialchars($problem) . '</p>';
}

/** Asks for the number. */
function phonePage(?string $problem = null): string
{
    return page('Sign in', alert($problem) . <<<'HTML'
    <form method="post" action="/code">
      <label for="phone">Mobile number</label>
      <input id="phone" name="phone" type="tel" autocomplete="tel" placeholder="012-345 6789" required autofocus>
      <button>Send me a code</button>
    </form>
    HTML);
}

/** Asks for the code; phones offer to fill it in. */
function codePage(?string $problem = null): string
{
    return page('Enter the code', alert($problem) . <<<'HTML'
    <form method="post" action="/sign-in">
      <label for="code">The six digits from the SMS</label>
      <input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" required autofocus>
      <button>Sign in</button>
    </form>
    <p><a href="/">Another number, or no SMS</a></p>
    HTML);
}

/** Only for users who are signed in. */
function homePage(string $phone): string
{
    return page('Welcome', '<p>You are signed in as ' . htmlspecialchars($phone) . '.</p>' . <<<'HTML'
    <form method="post" action="/sign-out"><button>Sign out</button></form>
    HTML);
}

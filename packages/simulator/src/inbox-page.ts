import { type Html, html } from './html.js';
import { type MessagesView, renderMessages } from './inbox-messages.js';
import { renderNumbers, renderSettings } from './inbox-reference.js';
import type { Simulation } from './simulation.js';
import type { SimulatorState } from './state.js';

/** What the address of the page asks for. */
interface InboxView extends MessagesView {
  /** The `Host` that the browser used, for addresses that work there. */
  host: string;
  /** What is wrong with a setting that was just sent. */
  problems?: readonly string[];
}

const refreshSeconds = 5;

/** The whole page, as a string. It works without its script, which copies codes and refreshes without a reload. */
export function renderInbox(simulation: Simulation, state: SimulatorState, view: InboxView): string {
  const refresh = html`<noscript><meta http-equiv="refresh" content="${refreshSeconds}"></noscript>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${view.refresh === 'off' ? '' : refresh}
<title>Inbox – iSMS simulator</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/inbox.css">
<script src="/inbox.js" defer></script>
</head>
<body data-refresh="${view.refresh === 'off' ? 0 : refreshSeconds}">
<header>
<h1>iSMS simulator</h1>
<p>For tests: no SMS leaves this machine. What your app sends appears here, codes included.</p>
<nav aria-label="On this page"><a href="#inbox">Inbox</a> <a href="#settings">Settings</a>
<a href="#numbers">Failure numbers</a></nav>
${renderFigures(simulation, state)}
</header>
<main>
${renderMessages(state, view, simulation.now())}
${renderSettings(state, view.host, view.problems ?? [])}
${renderNumbers()}
</main>
</body>
</html>
`.markup;
}

function renderFigures({ account }: Simulation, state: SimulatorState): Html {
  const { balance, expiration } = account.balance();
  const { sent, duplicates } = state.stats();
  return html`<dl class="figures" data-live="figures">
${figure('Credits', balance)}
${figure('Valid until', expiration || 'does not expire')}
${figure('SMS sent', sent.sms)}
${figure('Numbers with more than one SMS', duplicates.count)}
</dl>`;
}

function figure(name: string, value: string | number): Html {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
}

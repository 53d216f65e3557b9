import { type Html, html } from './html.js';
import { type MessagesView, renderMessages } from './inbox-messages.js';
import { renderNumbers, renderSettings } from './inbox-reference.js';
import type { Simulation } from './simulation.js';
import type { SimulatorState } from './state.js';

/** What the address of the page asks for. */
export interface InboxView extends MessagesView {
  /** The `Host` the browser used, to print addresses that work where it is. */
  host: string;
}

const refreshSeconds = 5;

/** The whole page, as a string: it needs no script and nothing from other hosts. */
export function renderInbox(simulation: Simulation, state: SimulatorState, view: InboxView): string {
  const refresh = html`<meta http-equiv="refresh" content="${refreshSeconds}">`;
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
</head>
<body>
<header>
<h1>iSMS simulator</h1>
<p>A test tool. No SMS leaves this machine: what your app sends shows up here, codes included.</p>
<nav aria-label="On this page"><a href="#inbox">Inbox</a> <a href="#settings">Settings</a>
<a href="#numbers">Test numbers</a></nav>
${renderFigures(simulation, state)}
</header>
<main>
${renderMessages(state, view, simulation.now())}
${renderSettings(state, view.host)}
${renderNumbers()}
</main>
</body>
</html>
`.markup;
}

function renderFigures({ account }: Simulation, state: SimulatorState): Html {
  const { balance, expiration } = account.balance();
  const { sent, duplicates } = state.stats();
  return html`<dl class="figures">
${figure('Credits', balance)}
${figure('Valid until', expiration || 'no end')}
${figure('SMS sent', sent.sms)}
${figure('Numbers with 2+', duplicates.count)}
</dl>`;
}

function figure(name: string, value: string | number): Html {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
}

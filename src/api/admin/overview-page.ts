import { html } from '../http/html.js';

/** The overview without its figures, which the page's script fetches every 15 s. */
export function overviewPage({
  version,
  actions,
  digest,
}: {
  version: string;
  actions: boolean;
  digest: string;
}): string {
  const asset = (name: string) => `/admin/assets/${name}?${digest}`;
  const tile = (id: string, title: string) => html`
    <div><dt>${title}</dt><dd id="${id}">–</dd><dd class="more" id="${id}-more">&nbsp;</dd></div>`;
  const chart = (id: string, title: string, more = '') => html`
    <figure><figcaption><h2>${title}</h2><p class="more">${more}</p></figcaption><div class="chart" id="${id}" role="img"></div></figure>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>iSMS OTP gateway</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${asset('uplot.css')}">
<link rel="stylesheet" href="${asset('overview.css')}">
<script src="${asset('uplot.js')}" defer></script>
<script src="${asset('overview.js')}" type="module"></script>
</head>
<body data-actions="${actions ? 'on' : 'off'}">
<header>
  <div><h1>iSMS OTP gateway</h1><p id="state" role="status">Loading …</p></div>
  <nav aria-label="Pages">
    <a href="/admin/queues">Queues</a>
    <a href="/docs">API</a>
    <a href="/metrics">Metrics</a>
  </nav>
</header>
<noscript><p class="alarm warning">This page needs JavaScript. The queues do not, nor do the metrics.</p></noscript>
<main>
  <ul id="alarms" aria-label="Alarms"></ul>
  <section aria-label="Find an OTP">
    <form id="find" role="search">
      <label for="query">Find an OTP by its id or phone number</label>
      <div class="row"><input id="query" name="query" required maxlength="64" autocomplete="off" spellcheck="false" placeholder="otp_… or 012-345 6789"><button>Find</button></div>
    </form>
    <div id="found" aria-live="polite"></div>
  </section>
  <section aria-labelledby="ranges-title" hidden>
    <h2 id="ranges-title"></h2>
    <div id="ranges"></div>
  </section>
  <fieldset id="span"><legend>Time shown</legend>
    <label><input type="radio" name="hours" value="1"><span>1 hour</span></label>
    <label><input type="radio" name="hours" value="6" checked><span>6 hours</span></label>
    <label><input type="radio" name="hours" value="24"><span>24 hours</span></label>
    <label><input type="radio" name="hours" value="168"><span>7 days</span></label>
  </fieldset>
  <dl class="tiles">
    ${tile('sent', 'Sent')}
    ${tile('conversion', 'Verified of sent')}
    ${tile('failures', 'Without an SMS')}
    ${tile('waited', 'Time to send, 95 %')}
    ${tile('waiting', 'Waiting now')}
    ${tile('credits', 'Credits')}
  </dl>
  <div class="charts">
    ${chart('sends-chart', 'OTPs', 'a minute')}
    ${chart('conversion-chart', 'Verified of sent', 'by the time of sending, without the newest 15 min')}
    ${chart('waited-chart', 'Time to send', 'of single OTPs')}
    ${chart('waiting-chart', 'Waiting')}
    ${chart('balance-chart', 'Credits', '30 days')}
  </div>
</main>
<footer>isms-otp-gateway ${version} · times are yours · refreshed every 15 s</footer>
</body>
</html>`.text;
}

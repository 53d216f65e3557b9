import { type Html, html } from './html.js';
import type { Sms } from './outbox.js';
import type { SimulatorState } from './state.js';

/** Which messages the page shows, and whether it refreshes. */
export interface MessagesView {
  mobile?: string | undefined;
  limit?: number | undefined;
  refresh?: 'on' | 'off' | undefined;
}

const shownByDefault = 50;
const mostShown = 1_000;

const malaysianTime = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'Asia/Kuala_Lumpur',
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

/** The list of SMS, newest first, with the links that narrow, lengthen and freeze it. */
export function renderMessages(state: SimulatorState, view: MessagesView, nowMs: number): Html {
  const limit = view.limit ?? shownByDefault;
  const messages = state.inbox({ mobile: view.mobile, limit });
  const items = messages.map((sms) => renderSms(sms, view, nowMs));
  return html`<section aria-labelledby="inbox" data-live="messages">
<h2 id="inbox">Inbox${view.mobile === undefined ? '' : ` of ${view.mobile}`}</h2>
${renderLinks(view, messages.length === limit)}
${items.length === 0 ? empty(view) : html`<ol class="messages">${items}</ol>`}
</section>`;
}

function renderSms(sms: Sms, view: MessagesView, nowMs: number): Html {
  const credits = sms.credits === 1 ? '1 credit' : `${sms.credits} credits`;
  const at = new Date(sms.sentAt);
  return html`<li>
<div class="head">
<a class="number" href="${address(view, { mobile: sms.mobile })}">${sms.mobile}</a>
<time datetime="${at.toISOString()}">${ago(nowMs - sms.sentAt)}</time>
</div>
<p class="text" dir="auto">${renderText(sms)}</p>
<button type="button" class="copy" data-code="${sms.code}" hidden>Copy ${sms.code}</button>
<p class="foot">${sms.senderId === null ? 'No sender ID' : `Sender ID ${sms.senderId}`} · ${credits}, ${sms.unicode ? 'Unicode' : 'ASCII'}
· ${malaysianTime.format(at)} MYT</p>
</li>
`;
}

function renderText({ text, code }: Sms): Html[] {
  return text
    .split(code)
    .flatMap((part, index) =>
      index === 0 ? [html`${part}`] : [html`<strong>${code}</strong>`, html`${part}`],
    );
}

function renderLinks(view: MessagesView, mayHaveMore: boolean): Html {
  const off = view.refresh === 'off';
  const links = [
    html`<a href="${address(view, { refresh: off ? 'on' : 'off' })}">${off ? 'Refresh every 5 s' : 'Stop refreshing'}</a>`,
  ];
  if (view.mobile !== undefined) {
    links.push(html`<a href="${address(view, { mobile: undefined })}">All numbers</a>`);
  }
  if (mayHaveMore && view.limit !== mostShown) {
    links.push(html`<a href="${address(view, { limit: mostShown })}">Show up to 1,000</a>`);
  }
  const refreshes = off ? 'Refreshing is off.' : 'Refreshes every 5 seconds.';
  return html`<p class="links">${refreshes} ${links}</p>`;
}

function empty({ mobile }: MessagesView): Html {
  const what = mobile === undefined ? 'No SMS yet.' : 'No SMS to this number.';
  return html`<p class="empty">${what} Codes that your app sends appear here.</p>`;
}

function address(view: MessagesView, change: Partial<MessagesView>): string {
  const { mobile, limit, refresh } = { ...view, ...change };
  const query = new URLSearchParams();
  if (mobile !== undefined) query.set('mobile', mobile);
  if (limit !== undefined) query.set('limit', String(limit));
  if (refresh === 'off') query.set('refresh', refresh);
  return query.size === 0 ? '/' : `/?${query}`;
}

function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  return seconds < 3_600 ? `${Math.floor(seconds / 60)} min ago` : `${Math.floor(seconds / 3_600)} h ago`;
}

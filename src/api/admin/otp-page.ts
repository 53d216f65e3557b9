import { isoTime } from '../../lib/time.js';
import { failureMessages, type Otp } from '../../otp/otp.js';
import { batchId } from '../../otp/otp-id.js';
import { troubleTexts } from '../../otp/outcome.js';
import type { HistoryStep } from '../../store/otp-history.js';
import { type Html, html, htmlPage } from '../http/html.js';
import { maskedView } from './otp-search.js';

/** An OTP as the store has it with its history. */
interface Found {
  otp: Otp;
  batch: string | null;
  history: readonly HistoryStep[];
}

const batchLink = (id: string) => html`<a href="/admin#${id}"><code>${id}</code></a>`;

/** The page of one OTP: its facts and each step of its life. No code, no reference, the number masked. */
export function otpPageOf({ otp, batch, history }: Found, asset: (name: string) => string): string {
  const { id, app, to, status, purpose, uuid, smsId, credits, attempts, sendDeadline, expiresAt, failure } =
    maskedView(otp);
  const facts: [string, string | Html | null][] = [
    ['Status', html`<strong>${status}</strong>`],
    ['Reason', failure?.message ?? null],
    ['App', app],
    ['Number', to],
    ['Country', otp.to.country],
    ['Purpose', purpose],
    ['Batch', batch && batchLink(batchId(batch))],
    ['Send deadline', moment(Date.parse(sendDeadline))],
    ['Code valid until', expiresAt && moment(Date.parse(expiresAt))],
    ['Codes tried', `${attempts.used} of ${attempts.of}`],
    ['Credits', String(credits)],
    ['uuid of iSMS', uuid],
    ['sms_id of iSMS', smsId],
    ['Test number', otp.isTest ? 'yes: no SMS is sent' : null],
  ];
  const shown = facts.filter(([, value]) => value !== null);
  const head = html`<link rel="stylesheet" href="${asset('overview.css')}">`;
  const body = html`<header>
  <div><h1>OTP</h1><p><code>${id}</code></p></div>
  <nav aria-label="Pages"><a href="/admin">Overview</a><a href="/admin/queues">Queues</a></nav>
</header>
<main>
  <section aria-label="Facts">
    <dl class="facts">${shown.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value ?? ''}</dd></div>`)}</dl>
  </section>
  <section aria-labelledby="history-title">
    <h2 id="history-title">History</h2>
    <table>
      <thead><tr><th scope="col">Time (UTC)</th><th scope="col">After</th><th scope="col">Step</th><th scope="col">Result</th></tr></thead>
      <tbody>${history.map((step, i) => row(step, history[i - 1]))}</tbody>
    </table>
  </section>
</main>
<footer>Times are UTC. Attempts with the same outcome in a row are one step; of sends and of verifications, the newest 20 steps are kept.</footer>`;
  return htmlPage(`${id} · iSMS OTP gateway`, { head, body });
}

function row(step: HistoryStep, before: HistoryStep | undefined): Html {
  const { at, from, times } = step;
  const since = before ? duration(at - before.at) : '';
  const took = from === null ? '' : times > 1 ? `first began ${moment(from)}` : `took ${duration(at - from)}`;
  const [title, result, level] = textsOf(step);
  return html`
      <tr><td data-label="Time (UTC)"><div><time datetime="${isoTime(at)}">${moment(at)}</time></div></td><td data-label="After"${since === '' ? html` class="blank"` : ''}><div>${since}</div></td><td data-label="Step"><div>${title}${times > 1 ? `, ${times} times` : ''}<span class="more">${took}</span></div></td><td data-label="Result"><div class="${level}">${result}</div></td></tr>`;
}

/** By failure, or status of an OTP without one. */
const ends: Record<string, string> = {
  ...failureMessages,
  expired: 'The code was not verified in time.',
  locked: 'All attempts were used.',
  cancelled: 'Cancelled by the app or an operator, or replaced by a newer OTP.',
};

/** Title, result and level of a step. */
function textsOf({ what, outcome }: HistoryStep): [string, string, 'good' | 'bad' | 'warn' | ''] {
  switch (what) {
    case 'accepted':
      return ['Accepted', 'Queued.', ''];
    case 'send':
      return ['Send attempt', outcomes[outcome ?? ''] ?? outcome ?? '', 'warn'];
    case 'sending':
      return ['Claimed by a worker', 'The call to iSMS is under way.', ''];
    case 'sent':
      return ['Sent', 'iSMS accepted the SMS.', 'good'];
    case 'verification':
      return ['Verification', verifications[outcome ?? ''] ?? outcome ?? '', 'warn'];
    case 'verified':
      return ['Verification', 'The code was right: verified.', 'good'];
    default:
      return [`Ended: ${what}`, ends[outcome ?? what] ?? outcome ?? '', 'bad'];
  }
}

/** Outcomes of sends; others are shown by their code. */
const outcomes: Record<string, string> = {
  ...failureMessages,
  ...Object.fromEntries(
    Object.entries(troubleTexts).map(([trouble, { cause }]) => [trouble, `Not sent: ${cause}.`]),
  ),
  not_connected: 'iSMS could not be reached; nothing was sent.',
  too_many_requests: 'iSMS answered that it gets too many requests; nothing was sent.',
  circuit_open: 'No call: the circuit breaker was open.',
  retry_budget: 'No call: the retry budget was used up.',
  stale_claim: 'No call: the claim was too old.',
  refusal_undecided: 'Refused in unknown words; not known yet whether others are, too.',
  timeout: 'No answer in time: it may have been sent.',
  connection_lost: 'The connection broke: it may have been sent.',
  server_error: 'iSMS answered with a server error: it may have been sent.',
  worker_lost: 'The worker ended before it noted the outcome: it may have been sent.',
  redis_lost_writes: 'Redis may have lost a call: counted as one that may have been sent.',
};

const verifications: Record<string, string> = {
  incorrect: 'The code, or what it was bound to, was wrong.',
  unrecognised: 'iSMS refused it in unknown words.',
  unsent: 'iSMS could not be reached; the attempt does not count.',
  unavailable: 'No usable answer from iSMS.',
  unanswered: 'No outcome was recorded.',
  already_verified: 'The code was right, but another attempt had verified the OTP.',
  otp_cancelled: 'The code was right, but the OTP was cancelled.',
};

function moment(ms: number): string {
  return isoTime(ms).replace('T', ' ').replace('Z', '');
}

function duration(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}

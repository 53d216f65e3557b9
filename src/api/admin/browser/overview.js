// The overview page in the browser: fetches the figures and draws them. No framework, no other host.

import { showApps } from './apps.js';
import { foundBatch, showBatches } from './batches.js';
import { conversionOf, showCharts, total } from './charts.js';
import {
  actionButton,
  actionsOn,
  ask,
  byId,
  element,
  format,
  lines,
  refreshAges,
  replace,
  showSection,
  table,
  time,
} from './ui.js';
import { showWeeks } from './weeks.js';

const refreshEveryMs = 15_000;
let hours = '6';
let shown = null;
/** The batch that was found. */
let followed = null;

/** Send times are counted in buckets, of which an hour is the last. */
function atMost(seconds) {
  return seconds > 3_600 ? 'over 1 h' : `≤ ${format.duration(seconds)}`;
}

function say(id, text, more = ['\u00a0'], level = '') {
  byId(id).textContent = text;
  byId(id).className = level;
  byId(`${id}-more`).replaceChildren(...more);
}

function showTiles({ points, waiting, balance, now }) {
  const sum = (name) => total(points, name);
  const [sent, verified, failed, unknown] = ['sent', 'verified', 'failed', 'unknown'].map(sum);
  say('sent', format.whole(sent), [
    `of ${format.whole(sum('accepted'))} accepted, ${format.whole(sum('rejected'))} rejected`,
  ]);
  const ended = conversionOf(points);
  // Codes of the newest minutes can still be entered, so they do not count yet.
  say(
    'conversion',
    ended.share === null ? '–' : format.percent(ended.share),
    ended.share === null
      ? [verified === 0 ? 'none yet' : `${format.whole(verified)} verified so far`]
      : [`${format.whole(ended.verified)} of ${format.whole(ended.sent)}, newest 15 min left out`],
  );
  const without = failed + unknown;
  const share = without === 0 ? 0 : without / (without + sent);
  const unknownText = unknown === 0 ? '' : `, ${format.whole(unknown)} unknown`;
  say(
    'failures',
    format.whole(without),
    [`${format.percent(share)} of all${unknownText}`],
    share > 0.1 ? 'bad' : '',
  );
  const waits = points.map((point) => point.waitedP95).filter((seconds) => seconds !== null);
  const latest = waits.at(-1);
  const level = latest > 30 ? 'bad' : latest > 5 ? 'warn' : '';
  say(
    'waited',
    latest === undefined ? '–' : atMost(latest),
    [waits.length === 0 ? 'nothing sent' : `worst ${atMost(Math.max(...waits))}`],
    level,
  );
  const longest =
    waiting.longestMs > 1_000
      ? `the next for ${format.duration(waiting.longestMs / 1_000)}`
      : 'none for long';
  say('waiting', format.whole(waiting.single + waiting.bulk), [
    waiting.bulk > 0 ? `${format.whole(waiting.bulk)} of it bulk` : longest,
  ]);
  if (!balance) return say('credits', '–', ['not read yet']);
  const until = balance.runsOutOn
    ? [`until ${format.date(new Date(balance.runsOutOn))} at this rate`]
    : ['read ', time(Math.min(now, balance.at))];
  say('credits', format.oneDigit(balance.credits), until, balance.low ? 'bad' : '');
}

function showState({ alarms }) {
  const list = alarms.map(({ level, text }) => element('li', { class: `alarm ${level}` }, text));
  byId('alarms').replaceChildren(...list);
  const critical = alarms.filter(({ level }) => level === 'critical').length;
  const problems = alarms.length === 1 ? '1 problem.' : `${alarms.length} problems.`;
  byId('state').textContent = alarms.length === 0 ? 'All is well.' : problems;
  byId('state').className = critical > 0 ? 'bad' : alarms.length === 0 ? 'good' : '';
  document.title = alarms.length === 0 ? 'iSMS OTP gateway' : `(${alarms.length}) iSMS OTP gateway`;
}

/** Rows of ranges shown; the command `isms-otp ranges list` shows all. */
const mostRanges = 20;

function showRanges({ ranges, guardEnforces }) {
  byId('ranges-title').textContent = guardEnforces
    ? 'Number ranges limited by the toll-fraud guard'
    : 'Number ranges that the toll-fraud guard would limit (FRAUD_GUARD=enforce)';
  const rows = ranges
    .slice(0, mostRanges)
    .map(({ app, range, limit, until, refused, wouldRefuse }) => [
      element('code', {}, range),
      app,
      lines(guardEnforces ? limit : `would be ${limit}`, limitTexts[limit]),
      wouldRefuse === 0 || (guardEnforces && refused > 0)
        ? format.whole(refused)
        : lines(refused === 0 ? '' : format.whole(refused), `would reject ${format.whole(wouldRefuse)}`),
      time(until),
      actionsOn ? undoButton(app, range) : '',
    ]);
  const notes = [];
  if (ranges.length > mostRanges)
    notes.push(`And ${format.whole(ranges.length - mostRanges)} more: isms-otp ranges list.`);
  if (!actionsOn && guardEnforces)
    notes.push('To undo, run isms-otp ranges unblock, or set ADMIN_ACTIONS=on for a button here.');
  const head = ['Range', 'App', 'Limit', 'Refused', 'Ends', ''];
  const note = element('p', { class: 'more' }, notes.join(' '));
  showSection('ranges', ranges.length > 0, table(head, rows), note);
}

function showNumbers({ numbers }) {
  const rows = numbers.shown.map(({ list, shown: number, app, until }) => [
    element('code', {}, number),
    app ?? 'all',
    lines(list === 'deny' ? 'denied' : 'allowed', listTexts[list]),
    until === null ? 'when removed' : time(until),
  ]);
  const rest = numbers.count - numbers.shown.length;
  const more = rest > 0 ? `And ${format.whole(rest)} more: isms-otp numbers list. ` : '';
  const text = `${more}To change them, run isms-otp numbers allow, deny or remove.`;
  const shownNumbers = table(['Number', 'App', 'List', 'Ends'], rows);
  showSection('numbers', numbers.count > 0, shownNumbers, element('p', { class: 'more' }, text));
}

const listTexts = {
  allow: 'Exempt from the toll-fraud guard.',
  deny: 'Nothing is sent to it.',
};

const limitTexts = {
  blocked: 'No OTPs: too few codes are verified.',
  slowed: 'One OTP every 20 s: too few codes are verified.',
  capped: 'No OTPs until some of the sent codes are verified or expire.',
};

function undoButton(app, range) {
  return actionButton('Undo', `Undo the limit of ${range} for ${app}`, async () => {
    await ask('ranges/forget', { app, range });
    await refresh();
  });
}

const statusTexts = {
  queued: 'Waits to be sent.',
  sending: 'Is being sent.',
  sent: 'Not verified yet.',
  expired: 'Not verified in time.',
  locked: 'Too many wrong codes.',
  cancelled: 'Cancelled by the app or an operator.',
};

/** The OTPs found so far, what was asked for, and how often. */
let found = [];
let asked = {};
let searches = 0;

/** What the form asks for. */
function readForm() {
  const given = [...new FormData(byId('find'))].filter(([, value]) => value !== '');
  const moment = (value) => new Date(value).toISOString();
  return Object.fromEntries(
    given.map(([name, value]) => [name, ['since', 'until'].includes(name) ? moment(value) : value]),
  );
}

async function find(request, { cursor, before = [] } = {}) {
  const place = byId('found');
  asked = request;
  followed = null;
  searches += 1;
  const turn = searches;
  try {
    const { otps, batch, next } = await ask('otps', { ...request, ...(cursor && { cursor }) });
    // A newer search has begun meanwhile.
    if (turn !== searches) return;
    followed = batch?.id ?? null;
    if (batch) return replace(place, foundBatch(batch, shown ?? {}, refreshBatches));
    found = [...before, ...otps];
    const more = next === null ? '' : element('p', { class: 'older' }, olderButton(request, next));
    const none = next === null ? 'Nothing found' : 'Nothing found so far';
    const isNarrowed = request.query && Object.keys(request).length > 1;
    const text = `${none}${isNarrowed ? ' with this app, status or time' : ''}. Search by id (otp_…, batch_…), by reference, or by phone number for the newest OTPs of the last day.`;
    const list = found.length === 0 ? element('p', { class: 'empty' }, text) : otpTable(found);
    place.replaceChildren(list, more);
  } catch (error) {
    if (turn === searches) place.replaceChildren(element('p', { class: 'empty bad' }, error.message));
  }
}

/** Lists further OTPs below those shown. */
function olderButton(request, cursor) {
  return actionButton('Older', 'Show older OTPs', () => find(request, { cursor, before: found }));
}

function otpTable(otps) {
  const rows = otps.map((otp) => [
    lines(
      element('a', { href: `/admin/otps/${otp.id}` }, element('code', {}, otp.id)),
      `${otp.app} to ${otp.to}`,
    ),
    statusOf(otp),
    time(otp.createdAt),
    otp.sentAt
      ? lines(time(otp.sentAt), `after ${format.duration(secondsBetween(otp.createdAt, otp.sentAt))}`)
      : '',
    endOf(otp),
    `${otp.attempts.used} of ${otp.attempts.of}`,
    actionsOn && otp.canBeCancelled ? cancelButton(otp.id) : '',
  ]);
  return table(['OTP', 'Status', 'Requested', 'Sent', 'Ends', 'Attempts', ''], rows);
}

/** Offers the apps that there are. */
function showAppChoices({ apps }) {
  const { app: select } = byId('find').elements;
  const known = [...select.options].slice(1).map(({ value }) => value);
  if (apps.map(({ app }) => app).join() === known.join()) return;
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...apps.map(({ app }) => element('option', {}, app)));
  select.value = chosen;
}

function statusOf({ status, failure }) {
  const level =
    { failed: 'bad', unknown: 'bad', locked: 'bad', expired: 'warn', verified: 'good' }[status] ?? '';
  const reason = failure ? failure.message : (statusTexts[status] ?? '');
  return lines(
    element('strong', { class: level }, status),
    reason,
    failure ? element('code', {}, failure.code) : '',
  );
}

/** When it was verified, or when its code or its time to be sent ends. */
function endOf({ status, verifiedAt, expiresAt, sendDeadline }) {
  if (verifiedAt) return lines(time(verifiedAt), 'verified');
  if (expiresAt && ['sent', 'expired'].includes(status)) return lines(time(expiresAt), 'code expires');
  if (['queued', 'sending', 'expired'].includes(status)) return lines(time(sendDeadline), 'send deadline');
  return '';
}

const secondsBetween = (from, to) => (Date.parse(to) - Date.parse(from)) / 1_000;

function cancelButton(id) {
  return actionButton('Cancel', `Cancel ${id}`, async () => {
    if (!confirm(`Cancel ${id}? It is not sent any more, and a code already sent can no longer be verified.`))
      return;
    await ask('otps/cancel', { id });
    await find(asked);
  });
}

/** Bull Board links a job to `/admin#<id of its OTP or batch>`. */
function findLinked() {
  const id = location.hash.slice(1);
  if (!/^(otp|batch)_/.test(id)) return;
  byId('query').value = id;
  byId('find').scrollIntoView({ block: 'nearest' });
  void find({ query: id });
}

function show(overview) {
  shown = overview;
  showState(overview);
  showTiles(overview);
  showCharts(overview);
  showBatches(overview, refreshBatches);
  showApps(overview, refresh);
  showAppChoices(overview);
  showRanges(overview);
  showWeeks(overview);
  showNumbers(overview);
  refreshAges();
}

async function refresh() {
  try {
    show(await ask(`overview.json?hours=${hours}`));
  } catch (error) {
    byId('state').textContent = `These figures are old: ${error.message}`;
    byId('state').className = 'bad';
  }
}

async function refreshBatches() {
  await refresh();
  if (followed) await find({ query: followed });
}

byId('span').addEventListener('change', (event) => {
  hours = event.target.value;
  void refresh();
});
byId('find').addEventListener('submit', (event) => {
  event.preventDefault();
  void find(readForm());
});
const redraw = () => shown && showCharts(shown);
let resizing;
addEventListener('resize', () => {
  clearTimeout(resizing);
  resizing = setTimeout(redraw, 150);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
document.addEventListener('visibilitychange', () => !document.hidden && void refresh());
addEventListener('hashchange', findLinked);
setInterval(() => !document.hidden && void refresh(), refreshEveryMs);
void refresh();
findLinked();

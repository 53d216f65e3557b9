// The overview page in the browser: asks for the figures, and draws them. No framework, no other host.
/* global uPlot */

const refreshEveryMs = 15_000;
const chartHeight = 190;
const charts = new Map();
let hours = '6';
let shown = null;

const byId = (id) => document.getElementById(id);
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** An element with text or other elements in it; text is never read as HTML. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

const whole = new Intl.NumberFormat();
const oneDigit = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 0 });
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' });
const timeOnly = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const timeWithSeconds = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });
const dayOnly = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const dateOnly = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeZone: 'UTC' });

function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 120) return `${oneDigit.format(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return `${oneDigit.format(seconds / 3_600)} h`;
}

/** Waits are counted by limits, of which an hour is the last. */
function atMost(seconds) {
  return seconds > 3_600 ? 'over 1 h' : `≤ ${duration(seconds)}`;
}

async function ask(path, body) {
  const response = await fetch(`/admin/${path}`, {
    headers: { Accept: 'application/json', ...(body && { 'Content-Type': 'application/json' }) },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? answer.title ?? `HTTP ${response.status}`);
  return answer;
}

function say(id, text, more = '\u00a0', level = '') {
  byId(id).textContent = text;
  byId(id).className = level;
  byId(`${id}-more`).textContent = more;
}

function total(points, name) {
  return points.reduce((sum, point) => sum + point[name], 0);
}

function showTiles({ points, waiting, balance, now }) {
  const sum = (name) => total(points, name);
  const [sent, verified, failed, unknown] = ['sent', 'verified', 'failed', 'unknown'].map(sum);
  say(
    'sent',
    whole.format(sent),
    `of ${whole.format(sum('accepted'))} accepted, ${whole.format(sum('refused'))} refused`,
  );
  say(
    'conversion',
    sent === 0 ? '–' : percent.format(Math.min(1, verified / sent)),
    `${whole.format(verified)} verified`,
  );
  const without = failed + unknown;
  const share = without === 0 ? 0 : without / (without + sent);
  const unknownText = unknown === 0 ? '' : `, ${whole.format(unknown)} unknown`;
  say(
    'failures',
    whole.format(without),
    `${percent.format(share)} of all${unknownText}`,
    share > 0.1 ? 'bad' : '',
  );
  const waits = points.map((point) => point.waitedP95).filter((seconds) => seconds !== null);
  const latest = waits.at(-1);
  const level = latest > 30 ? 'bad' : latest > 5 ? 'warn' : '';
  say(
    'waited',
    latest === undefined ? '–' : atMost(latest),
    waits.length === 0 ? 'nothing sent' : `worst ${atMost(Math.max(...waits))}`,
    level,
  );
  const longest =
    waiting.longestMs > 1_000 ? `the next for ${duration(waiting.longestMs / 1_000)}` : 'none for long';
  say(
    'waiting',
    whole.format(waiting.single + waiting.bulk),
    waiting.bulk > 0 ? `${whole.format(waiting.bulk)} of it bulk` : longest,
  );
  if (!balance) return say('credits', '–', 'not read yet');
  const until = balance.runsOutOn
    ? `until ${dateOnly.format(new Date(balance.runsOutOn))} at this rate`
    : `as of ${dateTime.format(new Date(Math.min(now, balance.at)))}`;
  say('credits', oneDigit.format(balance.credits), until, balance.low ? 'bad' : '');
}

function showState({ alarms }) {
  const list = alarms.map(({ level, text }) => element('li', { class: `alarm ${level}` }, text));
  byId('alarms').replaceChildren(...list);
  const critical = alarms.filter(({ level }) => level === 'critical').length;
  const text =
    alarms.length === 0
      ? 'All is well.'
      : alarms.length === 1
        ? 'One thing needs you.'
        : `${alarms.length} things need you.`;
  byId('state').textContent = text;
  byId('state').className = critical > 0 ? 'bad' : alarms.length === 0 ? 'good' : '';
  document.title = alarms.length === 0 ? 'iSMS OTP gateway' : `(${alarms.length}) iSMS OTP gateway`;
}

/** The moments of an axis: hours within a day, days beyond; the year is of no use here. */
function moments(_chart, seconds) {
  const step = (seconds[1] ?? 0) - (seconds[0] ?? 0);
  const format = step >= 86_400 ? dayOnly : step >= 60 ? timeOnly : timeWithSeconds;
  return seconds.map((moment) => format.format(new Date(moment * 1_000)));
}

/** One chart: `series` are lines over the same moments; drawn anew when the look of the page changes. */
function draw(id, { at, series, format, summary, top = 0, whole: counts = false, leastSpanMs = 60_000 }) {
  const place = byId(id);
  const known = series.some(({ values }) => values.some((value) => value !== null));
  place.setAttribute('aria-label', known ? summary : 'Nothing to show yet.');
  charts.get(id)?.destroy();
  charts.delete(id);
  if (!known) return place.replaceChildren(element('p', { class: 'none' }, 'Nothing to show yet.'));
  place.replaceChildren();
  const axis = {
    stroke: color('faint'),
    grid: { stroke: color('line'), width: 1 },
    ticks: { show: false },
    font: '12px system-ui',
  };
  const [first, last] = [at[0] / 1_000, at.at(-1) / 1_000];
  // Of a single moment uPlot would make years. Less than all of it is what somebody zooms to.
  const all = [Math.min(first, last - leastSpanMs / 1_000), last];
  const options = {
    width: place.clientWidth,
    height: chartHeight,
    cursor: { y: false, points: { size: 6 } },
    scales: {
      x: { range: (_chart, min, max) => (min > first || max < last ? [min, max] : all) },
      y: { range: (_chart, _min, max) => [0, top || (max > 0 ? max * 1.08 : 1)] },
    },
    axes: [
      { ...axis, size: 32, values: moments },
      {
        ...axis,
        size: 56,
        values: (_chart, ticks) => ticks.map(format),
        // What is counted has no halves.
        ...(counts && {
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6],
        }),
      },
    ],
    series: [
      { value: (_chart, seconds) => (seconds === null ? '' : dateTime.format(new Date(seconds * 1_000))) },
      ...series.map(({ label, stroke, dash, fill, values }) => ({
        label,
        stroke: color(stroke),
        width: 2,
        spanGaps: true,
        // A line of one moment would not be seen.
        points: { show: values.filter((value) => value !== null).length < 3 },
        ...(dash && { dash }),
        ...(fill && { fill: `color-mix(in srgb, ${color(stroke)} 14%, transparent)` }),
        value: (_chart, value) => (value === null || value === undefined ? '–' : format(value)),
      })),
    ],
  };
  charts.set(
    id,
    new uPlot(options, [at.map((ms) => ms / 1_000), ...series.map(({ values }) => values)], place),
  );
}

function showCharts({ points, balance }) {
  const at = points.map((point) => point.at);
  const of = (name) => points.map((point) => point[name]);
  const perMinute = (name) => points.map((point) => point[name] / point.minutes);
  const sum = (name) => whole.format(total(points, name));
  const span = { 6: 'six hours', 24: 'day', 168: 'week' }[hours];
  draw('sends-chart', {
    at,
    format: (value) => oneDigit.format(value),
    summary: `OTPs of the last ${span}: ${sum('sent')} sent, ${sum('failed')} failed, ${sum('unknown')} unknown.`,
    series: [
      { label: 'sent', stroke: 'series-1', values: perMinute('sent'), fill: true },
      { label: 'failed', stroke: 'series-2', values: perMinute('failed') },
      { label: 'unknown', stroke: 'series-3', values: perMinute('unknown') },
    ],
  });
  const rates = points.map(({ sent, verified }) => (sent === 0 ? null : Math.min(1, verified / sent)));
  draw('conversion-chart', {
    at,
    format: (value) => percent.format(value),
    top: 1,
    summary: `Of ${sum('sent')} sent, ${sum('verified')} were verified.`,
    series: [{ label: 'verified of sent', stroke: 'series-1', values: rates, fill: true }],
  });
  draw('waited-chart', {
    at,
    format: duration,
    summary: 'How long OTPs waited until iSMS took them: half of them, and 95 of 100.',
    series: [
      { label: '95 %', stroke: 'series-4', values: of('waitedP95') },
      { label: '50 %', stroke: 'series-1', values: of('waitedP50') },
    ],
  });
  draw('waiting-chart', {
    at,
    format: (value) => whole.format(value),
    whole: true,
    summary: 'How many OTPs waited for a worker at most.',
    series: [{ label: 'waiting', stroke: 'series-4', values: of('waiting'), fill: true }],
  });
  showBalance(balance);
}

/** The curve so far, and the line on which it goes down at the rate of the last week. */
function showBalance(balance) {
  const curve = balance?.curve ?? [];
  const last = curve.at(-1);
  const ends = last && balance.runsOutOn ? Date.parse(balance.runsOutOn) : null;
  // What is far away would press the past into a corner.
  const until = last && ends ? Math.min(ends, last.at + 30 * 86_400_000) : null;
  const rest =
    until === null
      ? []
      : [
          {
            at: until,
            credits: Math.max(0, last.credits - (balance.creditsPerDay * (until - last.at)) / 86_400_000),
          },
        ];
  const at = [...curve, ...rest].map((point) => point.at);
  const expiry = balance?.expiresOn ? `, expire on ${dateOnly.format(new Date(balance.expiresOn))}` : '';
  draw('balance-chart', {
    at,
    // The first minutes of an installation are no curve.
    leastSpanMs: 86_400_000,
    format: (value) => oneDigit.format(value),
    summary: last ? `${oneDigit.format(last.credits)} credits${expiry}.` : '',
    series: [
      {
        label: 'credits',
        stroke: 'series-1',
        fill: true,
        values: at.map((_, i) => curve[i]?.credits ?? null),
      },
      {
        label: 'at this rate',
        stroke: 'series-3',
        dash: [4, 4],
        values: at.map((_, i) =>
          i < curve.length - 1 ? null : (curve[i]?.credits ?? rest[0]?.credits ?? null),
        ),
      },
    ],
  });
  const note = byId('balance-chart').parentElement.querySelector('.more');
  note.textContent = last ? `30 days${expiry}` : '30 days';
}

function table(head, rows) {
  const header = element('tr', {}, ...head.map((text) => element('th', { scope: 'col' }, text)));
  const body = rows.map((cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell))));
  return element(
    'div',
    { class: 'scroll' },
    element('table', {}, element('thead', {}, header), element('tbody', {}, ...body)),
  );
}

function showRanges({ ranges, guardEnforces }) {
  const place = byId('ranges');
  if (place.contains(document.activeElement)) return;
  if (ranges.length === 0) return place.replaceChildren(element('p', { class: 'empty' }, 'None.'));
  const rows = ranges.map(({ app, range, refused, wouldRefuse, ...until }) => [
    app,
    element('code', {}, range),
    limitOf(until, guardEnforces),
    wouldRefuse === 0
      ? whole.format(refused)
      : `${refused === 0 ? '' : `${whole.format(refused)}, `}would refuse ${whole.format(wouldRefuse)}`,
    undo(app, range),
  ]);
  place.replaceChildren(table(['App', 'Range', 'What', 'Refused', ''], rows));
}

/** What the guard does about a range, or would do, and until when. */
function limitOf({ slowUntil, blockedUntil, cappedUntil }, enforces) {
  const limits = [
    ['blocked', blockedUntil],
    ['slowed', slowUntil],
    ['no more unverified codes', cappedUntil],
  ];
  const [what, until] = limits.find(([, moment]) => moment > Date.now()) ?? limits.at(-1);
  const text = `${what} until ${dateTime.format(new Date(until))}`;
  return enforces ? text : `would be: ${text}`;
}

function undo(app, range) {
  if (document.body.dataset.actions !== 'on')
    return element('span', { class: 'more' }, 'ADMIN_ACTIONS is off');
  const button = element('button', { class: 'quiet', 'aria-label': `Undo for ${range} of ${app}` }, 'Undo');
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      await ask('ranges/forget', { app, range });
      button.blur();
      await refresh();
    } catch (error) {
      button.replaceWith(element('span', { class: 'bad' }, error.message));
    }
  });
  return button;
}

async function find(query) {
  const place = byId('found');
  try {
    const { otps } = await ask('otps', { query });
    if (otps.length === 0) {
      const text =
        'Nothing is kept under that. Ids begin with otp_; of a number, the newest of the last day are found.';
      return place.replaceChildren(element('p', { class: 'empty' }, text));
    }
    const rows = otps.map(({ id, app, to, status, createdAt, sentAt, failure }) => [
      element('code', {}, id),
      app,
      to,
      failure ? `${status}: ${failure.code}` : status,
      dateTime.format(new Date(createdAt)),
      sentAt ? duration((Date.parse(sentAt) - Date.parse(createdAt)) / 1_000) : '–',
    ]);
    place.replaceChildren(table(['Id', 'App', 'To', 'Status', 'Asked for', 'Sent after'], rows));
  } catch (error) {
    place.replaceChildren(element('p', { class: 'empty bad' }, error.message));
  }
}

function show(overview) {
  shown = overview;
  showState(overview);
  showTiles(overview);
  showCharts(overview);
  showRanges(overview);
}

async function refresh() {
  try {
    show(await ask(`overview.json?hours=${hours}`));
  } catch (error) {
    byId('state').textContent = `These figures are old: ${error.message}`;
    byId('state').className = 'bad';
  }
}

byId('span').addEventListener('change', (event) => {
  hours = event.target.value;
  void refresh();
});
byId('find').addEventListener('submit', (event) => {
  event.preventDefault();
  void find(byId('query').value);
});
const redraw = () => shown && showCharts(shown);
let resizing;
addEventListener('resize', () => {
  clearTimeout(resizing);
  resizing = setTimeout(redraw, 150);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
document.addEventListener('visibilitychange', () => !document.hidden && void refresh());
setInterval(() => !document.hidden && void refresh(), refreshEveryMs);
void refresh();

// The overview's charts.
/* global uPlot */

import { byId, dateFormatter, element, format } from './ui.js';

const dayMs = 86_400_000;
const chartHeight = 190;
const timeOnly = dateFormatter({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const timeWithSeconds = dateFormatter({ timeStyle: 'medium', hourCycle: 'h23' });
const dayOnly = dateFormatter({ day: 'numeric', month: 'short' });
const charts = new Map();

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export function total(points, name) {
  return points.reduce((sum, point) => sum + point[name], 0);
}

/** Of OTPs whose codes can no longer be entered: how many were sent, verified, and which share; null of none. */
export function conversionOf(points) {
  const sum = (name) => points.reduce((all, { conversion }) => all + conversion[name], 0);
  const [sent, verified] = [sum('sent'), sum('verified')];
  return { sent, verified, share: sent === 0 ? null : Math.min(1, verified / sent) };
}

/** The labels of a time axis: hours within a day, days beyond. */
function moments(_chart, seconds) {
  const step = (seconds[1] ?? 0) - (seconds[0] ?? 0);
  const label = step >= 86_400 ? dayOnly : step >= 60 ? timeOnly : timeWithSeconds;
  return seconds.map((moment) => label(new Date(moment * 1_000)));
}

/** Draws a chart, again after every change; `series` are lines over the same moments. */
function draw(id, { at, series, write, summary, top = 0, whole: counts = false, leastSpanMs = 60_000 }) {
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
  // uPlot would stretch a single moment to years. A narrower range is the operator's zoom.
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
        values: (_chart, ticks) => ticks.map(write),
        // Counts have no halves.
        ...(counts && {
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6],
        }),
      },
    ],
    series: [
      {
        value: (_chart, seconds, _series, index) =>
          index === null ? 'latest' : format.dateTime(new Date(seconds * 1_000)),
      },
      ...series.map(({ label, stroke, dash, fill, values }) => ({
        label,
        stroke: color(stroke),
        width: 2,
        spanGaps: true,
        // A line of one moment is invisible.
        points: { show: values.filter((value) => value !== null).length < 3 },
        ...(dash && { dash }),
        ...(fill && { fill: `color-mix(in srgb, ${color(stroke)} 14%, transparent)` }),
        // Without a cursor, the legend shows the newest value.
        value: (_chart, value, _series, index) => {
          const shown = index === null ? values.findLast((one) => one !== null) : value;
          return shown === null || shown === undefined ? '–' : write(shown);
        },
      })),
    ],
  };
  const data = [at.map((ms) => ms / 1_000), ...series.map(({ values }) => values)];
  charts.set(id, new uPlot(options, data, place));
}

export function showCharts({ points, balance, hours }) {
  const at = points.map((point) => point.at);
  const of = (name) => points.map((point) => point[name]);
  const perMinute = (name) => points.map((point) => point[name] / point.minutes);
  const sum = (name) => format.whole(total(points, name));
  const span = { 1: 'hour', 6: '6 hours', 24: '24 hours', 168: '7 days' }[hours];
  draw('sends-chart', {
    at,
    write: format.oneDigit,
    summary: `OTPs of the last ${span}: ${sum('sent')} sent, ${sum('failed')} failed, ${sum('unknown')} unknown.`,
    series: [
      { label: 'sent', stroke: 'series-1', values: perMinute('sent'), fill: true },
      { label: 'failed', stroke: 'series-2', values: perMinute('failed') },
      { label: 'unknown', stroke: 'series-3', values: perMinute('unknown') },
    ],
  });
  const ended = conversionOf(points);
  const shares = points.map((point) => conversionOf([point]).share);
  draw('conversion-chart', {
    at,
    write: format.percent,
    top: 1,
    summary: `Of ${format.whole(ended.sent)} OTPs whose codes can no longer be entered, ${format.whole(ended.verified)} were verified.`,
    series: [{ label: 'verified', stroke: 'series-1', values: shares, fill: true }],
  });
  draw('waited-chart', {
    at,
    write: format.duration,
    summary: 'Time until iSMS accepted an OTP: of half of them, and of 95 %.',
    series: [
      { label: '95 %', stroke: 'series-4', values: of('waitedP95') },
      { label: '50 %', stroke: 'series-1', values: of('waitedP50') },
    ],
  });
  draw('waiting-chart', {
    at,
    write: format.whole,
    whole: true,
    summary: 'The most OTPs that waited for a worker.',
    series: [{ label: 'waiting', stroke: 'series-4', values: of('waiting'), fill: true }],
  });
  showBalance(balance);
}

/** The curve so far, and its future at the rate of the last week. */
function showBalance(balance) {
  const curve = balance?.curve ?? [];
  const last = curve.at(-1);
  const ends = last && balance.runsOutOn ? Date.parse(balance.runsOutOn) : null;
  // A far future would press the past into a corner.
  const until = last && ends ? Math.min(ends, last.at + 30 * dayMs) : null;
  const creditsAt = (ms) => Math.max(0, last.credits - (balance.creditsPerDay * (ms - last.at)) / dayMs);
  const rest = until === null ? [] : [{ at: until, credits: creditsAt(until) }];
  const at = [...curve, ...rest].map((point) => point.at);
  const past = at.map((_, i) => curve[i]?.credits ?? null);
  const expiry = balance?.expiresOn ? `, expire on ${format.date(new Date(balance.expiresOn))}` : '';
  draw('balance-chart', {
    at,
    // The first minutes of an installation make no curve.
    leastSpanMs: dayMs,
    write: format.oneDigit,
    summary: last ? `${format.oneDigit(last.credits)} credits${expiry}.` : '',
    series: [
      { label: 'credits', stroke: 'series-1', values: past, fill: true },
      ...rest.map(({ credits }) => ({
        label: 'at this rate',
        stroke: 'series-3',
        dash: [4, 4],
        values: at.map((_, i) => (i < curve.length - 1 ? null : (curve[i]?.credits ?? credits))),
      })),
    ],
  });
  const note = byId('balance-chart').parentElement.querySelector('.more');
  note.textContent = last ? `30 days${expiry}` : '30 days';
}

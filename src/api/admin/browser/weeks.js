// The overview's comparison of the last 7 days with the 7 days before, by app and by country.

import { element, format, lines, showSection, table } from './ui.js';

/** Rows shown of each table; `GET /v1/stats` has all. */
const mostRows = 20;
const countries = new Intl.DisplayNames(undefined, { type: 'region' });

export function showWeeks({ weeks }) {
  const byApp = tableOf('App', weeks.apps, (name) => name);
  const byCountry = tableOf('Country', weeks.countries, countryName);
  showSection('weeks', weeks.apps.length > 0, element('div', {}, byApp), element('div', {}, byCountry));
}

function tableOf(head, rows, label) {
  const cells = rows
    .slice(0, mostRows)
    .map(({ name, last, before }) => [
      label(name),
      lines(format.whole(last.sent), changeOf(last.sent, before.sent)),
      lines(shareOf(last), `before: ${shareOf(before)}`),
    ]);
  return table([head, 'Sent', 'Verified of sent'], cells);
}

function changeOf(now, before) {
  if (before === 0) return 'before: none';
  return `before: ${format.whole(before)} (${format.change(now / before - 1)})`;
}

const shareOf = ({ sent, verified }) => (sent === 0 ? '–' : format.percent(Math.min(1, verified / sent)));

/** A group that is no country stays as it is. */
function countryName(code) {
  return /^[A-Z]{2}$/.test(code) ? `${countries.of(code)} (${code})` : code;
}

// The overview's batches: their progress, what they wait for, and buttons to change them.

import { actionButton, actionsOn, ask, element, format, lines, showSection, table, time } from './ui.js';

const head = ['Batch', 'Progress', 'Status', 'Rate', 'Ends', ''];

/** Batches that have not ended. `refresh` is called after a change. */
export function showBatches(overview, refresh) {
  const { shown, more } = overview.batches;
  const note = more > 0 ? `And ${format.whole(more)} more.` : '';
  const batches = batchTable(shown, overview, refresh);
  showSection('batches', shown.length > 0, batches, element('p', { class: 'more' }, note));
}

/** A batch that was searched for, with its OTPs by status. */
export function foundBatch(batch, overview, refresh) {
  const counts = Object.entries(batch.counts)
    .filter(([, count]) => count > 0)
    .map(([status, count]) => `${format.whole(count)} ${status}`);
  const note = element('p', { class: 'more' }, counts.join(' · '));
  return element('div', {}, batchTable([batch], overview, refresh), note);
}

function batchTable(batches, overview, refresh) {
  const rows = batches.map((batch) => [
    lines(
      element(
        'a',
        { href: `#${batch.id}`, 'data-key': `${batch.id} link` },
        batch.name ?? element('code', {}, batch.id),
      ),
      element('span', {}, `${batch.app}, uploaded `, time(batch.createdAt)),
    ),
    progressOf(batch),
    statusOf(batch, overview),
    rateOf(batch),
    batch.estimatedEnd && !heldBy(batch, overview) ? time(batch.estimatedEnd) : '',
    actionsOn && !['cancelled', 'finished'].includes(batch.status) ? actionsOf(batch, refresh) : '',
  ]);
  return table(head, rows);
}

function progressOf({ counts, name, id }) {
  const unsent = counts.queued + counts.sending;
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const done = all - unsent - counts.cancelled;
  const label = `Progress of ${name ?? id}`;
  const bar = element('progress', { max: Math.max(1, all), value: done, 'aria-label': label });
  const share = format.percent(all === 0 ? 0 : Math.floor((100 * done) / all) / 100);
  return lines(
    element('span', { class: 'progress' }, bar, share),
    `${format.whole(unsent)} of ${format.whole(all)} OTPs wait`,
  );
}

const waitTexts = {
  app_paused: 'The app is paused.',
  earlier_batch: 'An earlier batch goes first.',
  number_range: 'The toll-fraud guard limits its number ranges.',
};

function statusOf(batch, overview) {
  const { status, startAt, waitsFor } = batch;
  const level = { paused: 'warn', finished: 'good' }[status] ?? '';
  if (status === 'scheduled')
    return lines(element('strong', {}, status), element('span', {}, 'Starts ', time(startAt), '.'));
  const reason = status === 'sending' ? heldBy(batch, overview) || (waitTexts[waitsFor] ?? '') : '';
  return lines(element('strong', { class: level }, reason === '' ? status : 'waiting'), reason);
}

/** Why no OTP of the batch's app is sent. */
function heldBy({ app }, { paused, holds }) {
  if (paused) return 'Sending is paused.';
  return holds?.some((hold) => hold.app === app) ? 'The app is on hold.' : '';
}

function rateOf({ rate, perSecond }) {
  const limit = perSecond === null ? '' : `at most ${format.whole(perSecond)}`;
  return rate === null ? limit : lines(`${format.oneDigit(rate)} a second`, limit);
}

function actionsOf({ id, name, app, status, perSecond }, refresh) {
  const title = `${name ?? id} of ${app}`;
  /** A button; `run` resolves with false where the operator changed their mind. */
  const button = (key, text, run) => {
    const act = async () => {
      if ((await run()) !== false) await refresh();
    };
    return actionButton(text, `${text}: ${title}`, act, `${id} ${key}`);
  };
  const change = (fields) => ask('batches/change', { id, ...fields });
  const isPaused = status === 'paused';
  return element(
    'div',
    { class: 'actions' },
    button('pause', isPaused ? 'Resume' : 'Pause', () => change({ paused: !isPaused })),
    button('pace', 'Limit rate', () => {
      const text = prompt(`${title}: OTPs a second at most, 1 to 10,000. Empty: no limit.`, perSecond ?? '');
      if (text === null) return false;
      // The server rejects what is no number.
      return change({ perSecond: text.trim() === '' ? null : Number(text) || text });
    }),
    button('cancel', 'Cancel', () => {
      if (!confirm(`Cancel ${title}? OTPs that wait are not sent any more.`)) return false;
      return ask('batches/cancel', { id });
    }),
  );
}

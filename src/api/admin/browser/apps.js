// The overview's apps: their credits against their budgets, and a button to pause each.

import { actionButton, actionsOn, ask, element, format, lines, showSection, table, time } from './ui.js';

/** Rows shown; the command `isms-otp apps list` shows all. */
const mostApps = 20;

/** Apps, paused ones, those with the most of a budget used and those that send most first. `refresh` is called after a change. */
export function showApps({ apps }, refresh) {
  const isOfNote = ({ pausedAt, budgets, sentInTenMinutes }) =>
    pausedAt !== null || budgets.length > 0 || sentInTenMinutes > 0;
  const isShown = actionsOn || apps.some(isOfNote);
  const rank = ({ pausedAt, budgets }) => (pausedAt !== null ? 2 : Math.max(0, ...budgets.map(shareOf)));
  const rows = [...apps]
    .sort((a, b) => rank(b) - rank(a) || b.sentInTenMinutes - a.sentInTenMinutes)
    .slice(0, mostApps)
    .map((one) => [
      one.app,
      one.pausedAt === null
        ? 'sending'
        : lines(element('strong', { class: 'warn' }, 'paused'), time(one.pausedAt)),
      one.sentInTenMinutes === 0 ? '' : `${format.whole(one.sentInTenMinutes)} in 10 min`,
      one.conversion === null ? '' : format.percent(one.conversion),
      budgetOf(one, 'day'),
      budgetOf(one, 'month'),
      actionsOn ? pauseButton(one, refresh) : '',
    ]);
  const more =
    apps.length > mostApps ? `And ${format.whole(apps.length - mostApps)} more: isms-otp apps list.` : '';
  const head = ['App', 'Status', 'Sent', 'Verified', 'Credits today', 'Credits this month', ''];
  showSection('apps', isShown, table(head, rows), element('p', { class: 'more' }, more));
}

const shareOf = ({ used, limit }) => Math.min(1, used / limit);

function budgetOf({ app, budgets }, period) {
  const budget = budgets.find((one) => one.period === period);
  if (!budget) return '';
  const share = shareOf(budget);
  const label = `Credits of ${app} used this ${period}`;
  const bar = element('progress', { max: 1, value: share, 'aria-label': label });
  const level = share === 1 ? 'bad' : share >= 0.8 ? 'warn' : '';
  return lines(
    element('span', { class: 'progress' }, bar, element('span', { class: level }, format.percent(share))),
    `${format.whole(budget.used)} of ${format.whole(budget.limit)}`,
  );
}

function pauseButton({ app, pausedAt }, refresh) {
  const [text, action] = pausedAt === null ? ['Pause', 'pause'] : ['Resume', 'resume'];
  const act = async () => {
    const warning = `Pause ${app}? Its OTPs wait, and new ones are rejected, until it is resumed.`;
    if (pausedAt === null && !confirm(warning)) return;
    await ask(`apps/${app}/${action}`, {});
    await refresh();
  };
  return actionButton(text, `${text} ${app}`, act, `${app} pause`);
}

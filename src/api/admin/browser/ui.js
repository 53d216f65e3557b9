// What the overview's sections are made of: formats, elements, tables, buttons.

export const byId = (id) => document.getElementById(id);

/** An element with text or other elements in it; text is never read as HTML. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

const formatter = (options) => new Intl.NumberFormat(undefined, options).format;
export const dateFormatter = (options) => new Intl.DateTimeFormat(undefined, options).format;

/** How numbers and moments are written, in the browser's language. */
export const format = {
  whole: formatter(),
  oneDigit: formatter({ maximumFractionDigits: 1 }),
  percent: formatter({ style: 'percent', maximumFractionDigits: 0 }),
  change: formatter({ style: 'percent', maximumFractionDigits: 0, signDisplay: 'exceptZero' }),
  dateTime: dateFormatter({ dateStyle: 'short', timeStyle: 'medium' }),
  date: dateFormatter({ dateStyle: 'medium', timeZone: 'UTC' }),
  duration: (seconds) => {
    if (seconds < 1) return `${Math.round(seconds * 1_000)} ms`;
    if (seconds < 120) return `${format.oneDigit(seconds)} s`;
    if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
    return `${format.oneDigit(seconds / 3_600)} h`;
  },
};

/** The time until or since a moment, as text that stays right while the page is open; hover shows the moment. */
export function time(moment) {
  const at = new Date(moment);
  return element('time', { datetime: at.toISOString(), title: format.dateTime(at) }, age(at));
}

function age(at) {
  const seconds = (Date.now() - at) / 1_000;
  if (Math.abs(seconds) < 5) return 'now';
  const text = format.duration(Math.round(Math.abs(seconds)));
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

export function refreshAges() {
  for (const one of document.querySelectorAll('time')) one.textContent = age(new Date(one.dateTime));
}

/** Fetches JSON of the admin pages, by POST where there is a body; throws what a problem says. */
export async function ask(path, body) {
  const response = await fetch(`/admin/${path}`, {
    headers: { Accept: 'application/json', ...(body && { 'Content-Type': 'application/json' }) },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  });
  const answer = response.status === 204 ? {} : await response.json();
  if (!response.ok) throw new Error(answer.detail ?? answer.title ?? `HTTP ${response.status}`);
  return answer;
}

/** A table that becomes a list of labelled lines on a phone. */
export function table(head, rows) {
  const header = element('tr', {}, ...head.map((text) => element('th', { scope: 'col' }, text)));
  const body = rows.map((cells) => element('tr', {}, ...cells.map((cell, i) => cellOf(cell, head[i]))));
  return element('table', {}, element('thead', {}, header), element('tbody', {}, ...body));
}

function cellOf(content, label) {
  const attributes = { 'data-label': label, ...(content === '' && { class: 'blank' }) };
  return element('td', attributes, element('div', {}, content));
}

/** Several texts or elements, one below the other. */
export function lines(...parts) {
  const [first, ...more] = parts.filter((part) => part !== '');
  return element('div', {}, first, ...more.map((part) => element('span', { class: 'more' }, part)));
}

export const actionsOn = document.querySelector('main').dataset.actions === 'on';

/** A button that changes something, which the server allows only with ADMIN_ACTIONS=on. */
export function actionButton(text, label, act, key = label) {
  const button = element('button', { class: 'quiet', 'aria-label': label, 'data-key': key }, text);
  button.addEventListener('click', async () => {
    // `disabled` would take the focus away.
    if (button.ariaDisabled) return;
    button.ariaDisabled = 'true';
    try {
      await act();
      button.ariaDisabled = null;
    } catch (error) {
      button.replaceWith(element('span', { class: 'bad' }, error.message));
    }
  });
  return button;
}

/** Shows a section with these elements, or hides it. */
export function showSection(id, isShown, ...children) {
  const place = byId(id);
  place.parentElement.hidden = !isShown;
  replace(place, ...children);
}

/** Replaces the elements of a place unless one is being pressed; the focus stays on the element with the same key. */
export function replace(place, ...children) {
  if (place.matches(':active')) return;
  const { key } = document.activeElement.dataset;
  const had = place.contains(document.activeElement);
  place.replaceChildren(...children);
  if (had) [...place.querySelectorAll('[data-key]')].find((one) => one.dataset.key === key)?.focus();
}

/** Commands with several words, and what the first one stands for. */
export const groups: Readonly<Record<string, string>> = {
  config: 'check settings',
  apps: 'check APPS_FILE; list, pause and resume apps',
  batches: 'list, show, pause, resume and cancel batches',
  keys: 'create API keys',
  otps: 'list OTPs',
  numbers: 'allow, deny, list, remove and unlock phone numbers',
  ranges: 'list and unblock number ranges that the toll-fraud guard limits',
  webhooks: 'deliver events again',
  redis: 'mark a Redis that was restored from a backup',
  subject: 'export or erase the data about a phone number (PDPA)',
};

/** Arguments of commands by name. */
export const argumentTexts: Readonly<Record<string, string>> = {
  app: 'name of an app',
  batch: 'id of a batch',
  number: 'phone number, such as +60123456789 or 0123456789',
  prefix: 'phone number, or prefix such as +6011, or range as `ranges list` shows it',
  range: 'number range, as `ranges list` shows it',
  since: 'first moment, such as 2026-11-25 (UTC)',
  until: 'moment after the last, such as 2026-11-26',
  id: 'id of an OTP (or, for status, of a batch)',
  code: 'code that the user received; - reads it from stdin, none asks for it',
  file: 'path of the file',
  role: 'process or use that the settings are for',
  shell: 'shell that completes commands',
};

/** Former names of commands. */
export const renamedCommands: ReadonlyMap<string, string> = new Map([
  ['apps check', 'apps validate'],
  ['check-config', 'config validate'],
  ['keys new', 'keys create'],
  ['unlock', 'numbers unlock'],
  ['forget-range', 'ranges unblock'],
  ['resend-webhooks', 'webhooks redeliver'],
  ['restored', 'redis mark-restored'],
  ['person', 'subject export'],
  ['erase', 'subject erase'],
]);

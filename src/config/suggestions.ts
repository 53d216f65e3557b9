import type { Mistake } from './config-error.js';
import type { Environment } from './read-environment.js';
import type { Setting } from './variables.js';

/** Shorter names are too likely to belong to another program. */
const minLength = 12;
const maxEdits = 2;

const renamed = new Map([
  ['DATA_KEY', 'ENCRYPTION_KEYS'],
  ['DATA_KEY_FILE', 'ENCRYPTION_KEYS_FILE'],
  ['KEEP_SECONDS', 'OTP_RETENTION_SECONDS'],
  ['AUDIT_KEEP_DAYS', 'AUDIT_RETENTION_DAYS'],
  ['OTP_SEND_WITHIN_SECONDS', 'OTP_SEND_DEADLINE_SECONDS'],
  ['BULK_SEND_WITHIN_SECONDS', 'BULK_SEND_DEADLINE_SECONDS'],
  ['UNKNOWN_RESENDS', 'MAX_RESENDS_AFTER_UNKNOWN'],
  ['SEND_RETRIES', 'MAX_SEND_RETRIES'],
  ['LIMIT_PHONE_COOLDOWN_SECONDS', 'LIMIT_RECIPIENT_COOLDOWN_SECONDS'],
  ['LIMIT_PHONE_PER_10_MINUTES', 'LIMIT_RECIPIENT_PER_10_MINUTES'],
  ['LIMIT_PHONE_PER_DAY', 'LIMIT_RECIPIENT_PER_DAY'],
  ['LIMIT_PHONE_WRONG_CODES', 'LIMIT_RECIPIENT_WRONG_CODES'],
  ['LIMIT_NUMBER_PER_DAY', 'LIMIT_RECIPIENT_PER_DAY_ALL_APPS'],
  ['MESSAGE_RULES', 'CONTENT_POLICY'],
  ['ISMS_DOOR', 'ISMS_COMPAT_API'],
]);

/** Finds former and misspelt names of settings, whose values would otherwise be ignored in silence. */
export function suggestions(env: Environment, settings: readonly Setting[]): Mistake[] {
  const names = settings.flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));
  const candidates = names.filter((name) => name.length >= minLength && !env[name]);
  const strangers = Object.keys(env).filter((name) => env[name] && !names.includes(name));
  return strangers.flatMap((stranger) => {
    const newName = renamed.get(stranger);
    if (newName) return [{ variable: stranger, problem: `was renamed to ${newName}` }];
    const meant = candidates.find((name) => editsBetween(stranger, name) <= maxEdits);
    return meant ? [{ variable: stranger, problem: `is not a setting; ${meant} is` }] : [];
  });
}

/** Levenshtein distance. */
function editsBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > maxEdits) return maxEdits + 1;
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1];
    for (const [column, other] of [...b].entries()) {
      const [left = 0, above = 0, diagonal = 0] = [next[column], row[column + 1], row[column]];
      next.push(Math.min(left + 1, above + 1, diagonal + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

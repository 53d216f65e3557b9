import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { type ConfigFor, type Role, schemas, settings } from './roles.js';
import type { Setting } from './variables.js';

/** The problem of one variable, such as "must be …", without its value. */
interface SettingError {
  variable: string;
  problem: string;
}

/** Errors in the environment; the message lists all of them, without values. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly errors: readonly SettingError[]) {
    const lines = errors.map(({ variable, problem }) => `  ${variable} ${problem}`);
    super([`${errors.length} invalid setting${errors.length === 1 ? '' : 's'}:`, ...lines].join('\n'));
  }
}

/** Environment variables as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Checks that only the domain can make: each returns the problem of a text ("must …"), or null. */
type DomainChecks = Partial<
  Record<'DEFAULT_MESSAGE' | 'DEFAULT_SENDER_ID' | 'WEBHOOK_EVENTS', (text: string) => string | null>
>;

/** Reads the environment for a role. Throws one `ConfigError` with all errors. */
export function loadConfig<R extends Role>(
  env: Environment,
  role: R,
  checks: DomainChecks = {},
): ConfigFor<R> {
  const errors: SettingError[] = [];
  const texts = readTexts(env, errors);
  const parsed = z.safeParse(schemas[role], nest(texts));
  const failed = new Set(errors.map(({ variable }) => variable.replace(/_FILE$/, '')));
  const found = (parsed.error?.issues ?? []).flatMap((issue) => errorsOf(issue, texts));
  errors.push(...found.filter(({ variable }) => !failed.has(variable)));
  errors.push(...domainErrors(texts, checks), ...unknownNames(env));
  if (errors.length > 0 || !parsed.success) throw new ConfigError(errors);
  return parsed.data;
}

/** The text of each setting, a secret also from the file that `NAME_FILE` names; empty counts as unset. */
function readTexts(env: Environment, errors: SettingError[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { name, secret } of settings) {
    const path = secret ? env[`${name}_FILE`] : undefined;
    if (env[name] && path) {
      errors.push({ variable: name, problem: `and ${name}_FILE are both set; keep one of them` });
      continue;
    }
    const text = path ? readSecret(`${name}_FILE`, path, errors) : env[name];
    if (text) texts.set(name, text);
  }
  return texts;
}

function readSecret(variable: string, path: string, errors: SettingError[]): string | undefined {
  try {
    const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    if (!text) errors.push({ variable, problem: 'names an empty file' });
    return text;
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    errors.push({ variable, problem: `must name a file that can be read (${reason})` });
    return undefined;
  }
}

/** Arranges the texts as the schema does; a group without a set member is left out. */
function nest(texts: ReadonlyMap<string, string>): unknown {
  const root: Record<string, unknown> = {};
  const groups: Record<string, Record<string, string>> = {};
  for (const { name, path } of settings) {
    const [key = '', member] = path;
    const text = texts.get(name);
    if (text === undefined) continue;
    if (member === undefined) root[key] = text;
    else groups[key] = { ...groups[key], [member]: text };
  }
  return { ...root, ...groups };
}

function errorsOf(issue: z.core.$ZodIssue, texts: ReadonlyMap<string, string>): SettingError[] {
  const concerned = settings.filter(({ path }) => issue.path.every((key, depth) => path[depth] === key));
  return concerned.map((setting) => ({
    variable: setting.name,
    problem: texts.has(setting.name) ? issue.message : missing(setting, texts),
  }));
}

function missing({ path, expected }: Setting, texts: ReadonlyMap<string, string>): string {
  const sibling = settings.find(
    (other) => path.length > 1 && other.path[0] === path[0] && texts.has(other.name),
  );
  const although = sibling ? ` although ${sibling.name} is set` : '';
  return `is missing${although}; it must be ${expected}`;
}

function domainErrors(texts: ReadonlyMap<string, string>, checks: DomainChecks): SettingError[] {
  return Object.entries(checks).flatMap(([variable, check]) => {
    const text = texts.get(variable);
    const problem = text === undefined ? null : check(text);
    return problem === null ? [] : [{ variable, problem }];
  });
}

const names = settings.flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));

/** Finds former and misspelt names of settings, whose values would be ignored silently. */
function unknownNames(env: Environment): SettingError[] {
  const unset = names.filter((name) => !env[name]);
  return Object.keys(env)
    .filter((name) => env[name] && !names.includes(name))
    .flatMap((variable) => {
      const problem = problemOfName(variable, unset);
      return problem === null ? [] : [{ variable, problem }];
    });
}

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

function problemOfName(variable: string, unset: readonly string[]): string | null {
  const newName = renamed.get(variable);
  if (newName) return `was renamed to ${newName}`;
  if (variable === 'FRAUD_SAFE_RANGES') return 'was replaced by isms-otp numbers allow';
  const meant = suggestName(variable, unset);
  return meant === null ? null : `is not a setting; did you mean ${meant}?`;
}

/** Beginnings of names that only this program uses. */
const ownPrefix = /^(?:ISMS|OTP|LIMIT|FRAUD|BULK|WEBHOOK|ENCRYPTION)_/;
/** Names from this length on are unlikely to resemble the name of another program's variable by chance. */
const distinctLength = 12;
const minDistinctWord = 5;

/**
 * Finds the setting that a misspelt variable means: one within few edits, or one that continues a name with a prefix of
 * ours, such as ISMS_USERNAME for ISMS_USER. Variables of other programs resemble short names, so that there one of the
 * words must be right.
 */
function suggestName(variable: string, names: readonly string[]): string | null {
  const resembling = names.find(
    (name) =>
      Math.abs(variable.length - name.length) <= maxEdits(name) &&
      mayMean(variable, name) &&
      editsBetween(variable, name) <= maxEdits(name),
  );
  if (resembling !== undefined) return resembling;
  return ownPrefix.test(variable) ? (names.find((name) => continues(variable, name)) ?? null) : null;
}

const maxEdits = (name: string) => Math.min(3, Math.floor(name.length / 6));

function mayMean(variable: string, name: string): boolean {
  const end = name.indexOf('_');
  if (end < 0) return false;
  if (name.length >= distinctLength && variable[0] === name[0]) return true;
  if (variable.startsWith(name.slice(0, end + 1))) return true;
  return end >= minDistinctWord && variable.endsWith(name.slice(end));
}

/** Whether a name continues the variable beyond its prefix. */
function continues(variable: string, name: string): boolean {
  return name.startsWith(variable) && variable.length >= variable.indexOf('_') + 4;
}

/** Edit distance in which two swapped neighbours count as one edit. */
function editsBetween(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const [x, y] = [a[row - 1], b[column - 1]];
      const [left = 0, above = 0, diagonal = 0] = [current[column - 1], last[column], last[column - 1]];
      const swapped = x === b[column - 2] && y === a[row - 2] ? (beforeLast[column - 2] ?? 0) + 1 : a.length;
      current.push(Math.min(left + 1, above + 1, diagonal + (x === y ? 0 : 1), swapped));
    }
    [beforeLast, last] = [last, current];
  }
  return last[b.length] ?? 0;
}

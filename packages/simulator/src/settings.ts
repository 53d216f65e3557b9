import { errorKinds } from './behaviours.js';
import { type FailureStyle, failureStyles } from './failure.js';

/** Account trouble that can be switched on. */
export const troubles = [
  'authentication_failed',
  'account_suspended',
  'ip_not_allowed',
  'insufficient_credits',
] as const;

/** What can be changed while the simulator runs. */
export interface Settings {
  /** Credits left; each SMS takes off its price. */
  credits: number;
  /** Last day in Malaysia on which the credits can be used, such as `2026-12-31`; null: they do not expire. */
  expiresOn: string | null;
  /** Delay of each reply in milliseconds, fixed or random between two bounds. */
  latencyMs: number | { min: number; max: number };
  /** Share of sends to normal numbers that fail, 0 to 1. */
  errorRate: number;
  /** How they fail: the name of a behaviour, such as `reset_before_sms`. */
  errorKind: string;
  /** Fails every call; `insufficient_credits` fails sends only and shows a balance of zero. */
  trouble: (typeof troubles)[number] | null;
  /** Text with which every send and verify call is refused; null: none is. */
  refusal: string | null;
  /** Wording of failures. */
  failureStyle: FailureStyle;
}

/** Settings to change; the others stay as they are. */
export type SettingsUpdate = { [K in keyof Settings]?: Settings[K] | undefined };

type Check = (value: unknown) => string | null;

const longestLatencyMs = 120_000;
const mostCredits = 1_000_000_000;
const longestRefusal = 200;
const latencyProblem = `must be milliseconds from 0 to ${longestLatencyMs}, or {"min": …, "max": …} of them`;

/** What is wrong with the value of each setting; null if nothing is. */
const checks: Readonly<Record<keyof Settings, Check>> = {
  credits: numberUpTo(mostCredits),
  expiresOn: nullOr((value) => (isDate(value) ? null : 'must be a date such as "2026-12-31", or null')),
  latencyMs: checkLatency,
  errorRate: numberUpTo(1),
  errorKind: oneOf(errorKinds),
  trouble: nullOr(oneOf(troubles)),
  refusal: nullOr((value) =>
    typeof value === 'string' && value.length > 0 && value.length <= longestRefusal
      ? null
      : `must be a text of 1 to ${longestRefusal} characters, or null`,
  ),
  failureStyle: oneOf(failureStyles),
};

/** Names of all settings. */
export const settingNames = Object.keys(checks) as (keyof Settings)[];

/** Reads an update from outside, or lists everything that is wrong with it, one sentence each. */
export function parseUpdate(input: unknown): { update: SettingsUpdate } | { problems: string[] } {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return { problems: ['settings must be an object'] };
  }
  const given = Object.entries(input).filter(([, value]) => value !== undefined);
  const problems = given.flatMap(([name, value]) => {
    if (!isSetting(name)) return [`there is no setting "${name}"; there are: ${settingNames.join(', ')}`];
    const problem = checks[name](value);
    return problem === null ? [] : [`${name}: ${problem}`];
  });
  return problems.length > 0 ? { problems } : { update: Object.fromEntries(given) };
}

/** Reads the fields of a form, where an empty field means null and a latency may be two numbers. */
export function parseForm(fields: URLSearchParams): ReturnType<typeof parseUpdate> {
  return parseUpdate(Object.fromEntries([...fields].map(([name, text]) => [name, fieldValue(name, text)])));
}

/** Plenty of credits, valid for a year, and no failures. */
export function defaultSettings(nowMs: number): Settings {
  const inAYear = new Date(nowMs + 365 * 86_400_000).toISOString().slice(0, 10);
  return {
    credits: 10_000,
    expiresOn: inAYear,
    latencyMs: 0,
    errorRate: 0,
    errorKind: 'reset_before_sms',
    trouble: null,
    refusal: null,
    failureStyle: 'text',
  };
}

function isSetting(name: string): name is keyof Settings {
  return Object.hasOwn(checks, name);
}

function fieldValue(name: string, text: string): unknown {
  if (text === '') return null;
  if (name === 'credits' || name === 'errorRate') return Number(text);
  if (name !== 'latencyMs') return text;
  const bounds = /^(\d+)\s*[-–]\s*(\d+)$/.exec(text);
  return bounds ? { min: Number(bounds[1]), max: Number(bounds[2]) } : Number(text);
}

function numberUpTo(most: number): Check {
  return (value) =>
    typeof value === 'number' && value >= 0 && value <= most ? null : `must be a number from 0 to ${most}`;
}

function oneOf(names: readonly string[]): Check {
  return (value) => (names.some((name) => name === value) ? null : `must be one of: ${names.join(', ')}`);
}

function nullOr(check: Check): Check {
  return (value) => (value === null ? null : check(value));
}

function checkLatency(value: unknown): string | null {
  if (isMilliseconds(value)) return null;
  if (typeof value !== 'object' || value === null) return latencyProblem;
  const { min, max, ...more } = value as Record<string, unknown>;
  if (!isMilliseconds(min) || !isMilliseconds(max) || Object.keys(more).length > 0) return latencyProblem;
  return min <= max ? null : 'min must not be above max';
}

function isMilliseconds(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= longestLatencyMs;
}

/** A day of the calendar: 30 February is none. */
function isDate(value: unknown): boolean {
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(value)) return false;
  const time = Date.parse(`${value}T00:00:00Z`);
  return Number.isFinite(time) && new Date(time).toISOString().startsWith(value);
}

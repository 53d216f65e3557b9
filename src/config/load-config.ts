import * as z from 'zod';
import { type Command, type ConfigFor, schemas, settings } from './commands.js';
import { ConfigError, type Mistake } from './config-error.js';
import { type Environment, readEnvironment } from './read-environment.js';
import { suggestions } from './suggestions.js';
import type { Setting } from './variables.js';

/** What only the domain can judge: each answers what is wrong with a text ("must …"), or null. */
export type DomainChecks = Partial<
  Record<'DEFAULT_MESSAGE' | 'DEFAULT_SENDER_ID' | 'WEBHOOK_EVENTS', (text: string) => string | null>
>;

/**
 * Reads the environment once. What `command` requires is in the result for certain. Throws one `ConfigError`
 * with all mistakes.
 */
export function loadConfig<C extends Command>(
  env: Environment,
  command: C,
  checks: DomainChecks = {},
): ConfigFor<C> {
  const { texts, mistakes } = readEnvironment(env, settings);
  const parsed = z.safeParse(schemas[command], nest(texts));
  const failed = new Set(mistakes.map(({ variable }) => variable.replace(/_FILE$/, '')));
  const found = (parsed.error?.issues ?? []).flatMap((issue) => mistakesOf(issue, texts));
  mistakes.push(...found.filter(({ variable }) => !failed.has(variable)));
  mistakes.push(...domainMistakes(texts, checks), ...suggestions(env, settings));
  if (mistakes.length > 0 || !parsed.success) throw new ConfigError(mistakes);
  return parsed.data;
}

/** Puts each text where the schema wants it; a group none of whose members is set stays out. */
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

function mistakesOf(issue: z.core.$ZodIssue, texts: ReadonlyMap<string, string>): Mistake[] {
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

function domainMistakes(texts: ReadonlyMap<string, string>, checks: DomainChecks): Mistake[] {
  return Object.entries(checks).flatMap(([variable, check]) => {
    const text = texts.get(variable);
    const problem = text === undefined ? null : check(text);
    return problem === null ? [] : [{ variable, problem }];
  });
}

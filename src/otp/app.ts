import type { EventType } from './event.js';
import type { PhoneNumber } from './phone-number.js';

/** Limits of one app that stand in place of the gateway's own. Milliseconds, or how many; 0 is off. */
export interface AppLimits {
  recipientCooldownMs?: number | undefined;
  recipientPer10Minutes?: number | undefined;
  recipientPerDay?: number | undefined;
  clientIpPer10Minutes?: number | undefined;
  appPerSecond?: number | undefined;
}

/** A message in several languages, by BCP 47 tag in lower case. */
export type Template = ReadonlyMap<string, string>;

/** An app that uses the gateway, and what the operator allows it. */
export interface App {
  name: string;
  /** By name; an app without any has the gateway's default message. */
  templates: ReadonlyMap<string, Template>;
  /** The language where a request names none, or one that a template does not have. */
  defaultLocale: string;
  /** Whether requests may bring a message of their own. */
  freeText: boolean;
  /** Null: the gateway's own. */
  senderId: string | null;
  /** ISO 3166-1 alpha-2; null: the gateway's own. */
  countries: readonly string[] | null;
  limits: AppLimits;
  /** Who is told of its events instead of the gateway's own receiver; null: nobody else. */
  webhook: AppWebhook | null;
  /** E.164 numbers that nothing is ever sent to, and the code that is right for each. */
  testNumbers: ReadonlyMap<string, string>;
}

/** A receiver of one app's events. */
export interface AppWebhook {
  /** Its query may hold a secret: never to be logged. */
  url: string;
  secrets: readonly string[];
  /** Whether it may be inside this network. */
  allowPrivate: boolean;
  /** Null: all. */
  events: readonly EventType[] | null;
}

/** The template of requests that name none. */
export const defaultTemplate = 'default';

/** The apps as they are now: an operator may change them while processes run. */
export interface Apps {
  of(name: string): App;
}

/** An app of which nothing is known but its name: the gateway's own settings are in force. */
export function plainApp(name: string): App {
  return {
    name,
    templates: new Map(),
    defaultLocale: 'en',
    freeText: true,
    senderId: null,
    countries: null,
    limits: {},
    webhook: null,
    testNumbers: new Map(),
  };
}

/**
 * The text of a template in the language that fits best: `zh-Hans-MY`, then `zh-Hans`, `zh` (BCP 47 lookup, RFC 4647
 * §3.4), then the default language, then whichever comes first.
 */
export function textOf(template: Template, locale: string | undefined, defaultLocale: string): string {
  const wanted = locale === undefined ? [] : lookups(locale.toLowerCase());
  const found = [...wanted, ...lookups(defaultLocale)].find((tag) => template.has(tag));
  return template.get(found ?? '') ?? [...template.values()][0] ?? '';
}

/** Whether a template has a text in this language, by the same lookup. */
export function hasLocale(template: Template, locale: string): boolean {
  return lookups(locale.toLowerCase()).some((tag) => template.has(tag));
}

function lookups(tag: string): string[] {
  const parts = tag.split('-');
  return parts.map((_, i) => parts.slice(0, parts.length - i).join('-'));
}

/** The code that is right for a number that nothing is sent to; null for every other number. */
export function testCodeOf(app: App, to: PhoneNumber): string | null {
  return app.testNumbers.get(to.e164) ?? null;
}

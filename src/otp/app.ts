import type { EventType } from './event.js';
import type { PhoneNumber } from './phone-number.js';
import type { Template } from './template.js';

/** Limits and budgets of one app that replace the gateway's. Milliseconds, counts or credits; 0 disables. */
interface AppLimits {
  recipientCooldownMs?: number | undefined;
  recipientPer10Minutes?: number | undefined;
  recipientPerDay?: number | undefined;
  clientIpPer10Minutes?: number | undefined;
  appPerSecond?: number | undefined;
  creditsPerDay?: number | undefined;
  creditsPerMonth?: number | undefined;
}

/** Limits for one limit key, such as one user; 0 disables. */
export interface KeyLimits {
  per10Minutes: number;
  perDay: number;
  /** Whether a request must have a key of this kind. */
  required?: boolean;
}

/** An app and its settings. */
export interface App {
  name: string;
  /** Every message to Malaysia must name it; null: none. */
  brand: string | null;
  /** By name; an app without templates uses the gateway's default message. */
  templates: ReadonlyMap<string, Template>;
  /** Used if a request names no language, or one that the template lacks. */
  defaultLocale: string;
  /** Requests may contain a message of their own. */
  freeText: boolean;
  /** Null: the gateway's. */
  senderId: string | null;
  /** ISO 3166-1 alpha-2; null: the gateway's. */
  countries: readonly string[] | null;
  /** Null: the gateway's. */
  limits: AppLimits | null;
  /** The kinds of limit keys that its requests may have. */
  limitKeys: ReadonlyMap<string, KeyLimits>;
  /** Calls to iSMS; 0 disables the limit, null is the gateway's. */
  sendsPerSecond: number | null;
  /** Receives its events instead of the gateway's receiver; null: the gateway's receiver does. */
  webhook: AppWebhook | null;
  /** Test numbers (E.164), to which no SMS is sent, with the valid code of each. */
  testNumbers: ReadonlyMap<string, string>;
}

/** A receiver of one app's events. */
export interface AppWebhook {
  /** May hold a secret in its query: never log it. */
  url: string;
  secrets: readonly string[];
  /** Allows addresses of private networks. */
  allowPrivate: boolean;
  /** Null: all. */
  events: readonly EventType[] | null;
}

/** Used by requests that name no template. */
export const defaultTemplate = 'default';

/** The current apps: the operator can change them while processes run. */
export interface Apps {
  of(name: string): App;
}

/** An app without settings of its own: the gateway's apply. */
export function plainApp(name: string): App {
  return {
    name,
    brand: null,
    templates: new Map(),
    defaultLocale: 'en',
    freeText: true,
    senderId: null,
    countries: null,
    limits: null,
    limitKeys: new Map(),
    sendsPerSecond: null,
    webhook: null,
    testNumbers: new Map(),
  };
}

/** The valid code of a test number; null for every other number. */
export function testCodeOf(app: App, to: PhoneNumber): string | null {
  return app.testNumbers.get(to.e164) ?? null;
}

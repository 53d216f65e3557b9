import { ConfigError } from '../config/load-config.js';
import type { ConfigFor } from '../config/roles.js';
import { PhoneNumber } from '../otp/phone-number.js';
import { createAppRegistry } from './apps.js';

/* What operator commands read from their arguments, and what they print. */

type OperatorConfig = ConfigFor<'operator'>;

/** What a command prints: the text, or with `--json` the data. */
export interface CommandOutput {
  text: string;
  data: unknown;
}

/** The same text with and without `--json`. */
export function output(text: string): CommandOutput {
  return { text, data: { message: text } };
}

export const appNames = (config: OperatorConfig) =>
  createAppRegistry(config)
    .all()
    .map(({ name }) => name);

export function knownApp(app: string, config: OperatorConfig): string {
  if (appNames(config).includes(app)) return app;
  throw new ConfigError([
    { variable: '<app>', problem: 'is not an app of API_KEYS or APPS_FILE; isms-otp apps list shows them' },
  ]);
}

export function numberOf(text: string, { defaults }: OperatorConfig): PhoneNumber {
  const to = PhoneNumber.parse(text, defaults.country);
  if (to) return to;
  throw new ConfigError([
    { variable: '<number>', problem: 'is not a mobile number; write it as +60123456789' },
  ]);
}

/** Masks any other number, such as one of a landline. */
const withoutDigits = (text: string) => text.replaceAll(/\d(?:[ ().-]*\d){8,}/g, '[masked]');

/** The arguments for the audit log, without whole phone numbers. */
export function subjectOf(args: readonly string[], { defaults }: OperatorConfig): { subject?: string } {
  if (args.length === 0) return {};
  const shown = args.map((text) => PhoneNumber.parse(text, defaults.country)?.masked ?? withoutDigits(text));
  return { subject: shown.join(' ') };
}

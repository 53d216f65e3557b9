/** Stands where something was that must not be logged. */
export const masked = '[masked]';

const names =
  'pass|password|passwd|pwd|secret|token|key|api_?key|authorization|code|otp|mobile|phone|to|message|msg';

const rules: [RegExp, string][] = [
  [new RegExp(`\\b(${names})=[^&\\s"'#]*`, 'gi'), `$1=${masked}`],
  [
    new RegExp(`(\\\\*")(${names})\\1\\s*:\\s*(?:\\1.*?(?:(?<!\\\\)\\1|$)|[\\w.+-]+)`, 'gis'),
    `$1$2$1:$1${masked}$1`,
  ],
  [new RegExp(`\\b(${names}): '[^']*'`, 'gi'), `$1: '${masked}'`],
  [/\b(Bearer|Basic) +[\w.~+/=-]+/gi, `$1 ${masked}`],
  [/\/\/[^/\s@"']+@/g, `//${masked}@`],
];

const template = /%(25)?OTP%/i;
/** A UUID, which may hold a run of digits; a number that begins with a plus; nine digits or more. */
const digits = /[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}|\+\d[\d ().-]{5,}\d|\d{9,}/gi;
const uuid = /^[\da-f]{8}-/i;

/** What every rule above needs at least; most texts have none of it and are done sooner. */
const suspicious = /[="'%]|\/\/|\+\d|\d{9}|bearer|basic/i;

/**
 * Takes out of free text what must not be logged: phone numbers, values of parameters and JSON members that hold
 * secrets or codes, credentials of URLs and headers, message templates.
 */
export function maskText(text: string): string {
  if (!suspicious.test(text)) return text;
  const named = rules.reduce(
    (masking, [pattern, replacement]) => masking.replace(pattern, replacement),
    text,
  );
  if (template.test(named)) return masked;
  return named.replace(digits, (run) => (uuid.test(run) ? run : masked));
}

import type { InputError } from '../lib/input-errors.js';
import { brokenContentRules, contentRuleMessages, parseMessage, unmask } from './message.js';

/** A message in several languages, with variables that requests fill in. */
export interface Template {
  /**
   * By BCP 47 tag in lower case. `{name}` is a variable, or `{minutes}`, the validity of the code; the brand is in place
   * of `{brand}` already. Other braces are not allowed.
   */
  texts: ReadonlyMap<string, string>;
  /** Variables of the template's own, by name. A request gives a value for each. */
  variables: ReadonlyMap<string, Variable>;
}

/** A value that requests bring. None holds a dot beside a letter, a colon, or five digits in a row. */
export interface Variable {
  type: 'text' | 'number' | 'amount';
  /** In UTF-16 code units, as messages are billed. */
  maxLength: number;
}

/** A variable in a text. */
const token = /\{([a-z][A-Za-z0-9_]{0,31})\}/g;
const builtIn = ['brand', 'minutes'];
/** Of an OTP's validity. */
const longestMinutes = 10;
export const leastMinuteSeconds = 60;

/** Of the scripts of Malaysia's languages, without the few signs among them that look like a full stop or a colon. */
const letter = String.raw`[[[\p{Lu}\p{Ll}\p{Lt}]&&\p{sc=Latin}][\p{Lo}&&[\p{sc=Han}\p{sc=Tamil}\p{sc=Arabic}]][\p{M}&&\p{sc=Tamil}]]`;
const textShape = new RegExp(
  String.raw`^(?:${letter}|[0-9\(])(?:[${letter}0-9 '’&,\(\)\/\-]*(?:${letter}|[0-9\)]))?$`,
  'v',
);

const types: Record<Variable['type'], { shape: RegExp; rule: string }> = {
  text: {
    shape: textShape,
    rule: "must be Latin, Chinese, Tamil or Arabic letters, digits, spaces and ' & , ( ) / -, with a letter, a digit or a bracket at both ends",
  },
  number: { shape: /^\d+$/, rule: 'must be digits' },
  amount: {
    shape: /^(?:0|[1-9]\d{0,3}|[1-9]\d{0,2}(?:,\d{3})+)(?:\.\d\d)?$/,
    rule: 'must be an amount such as 50, 1234.50 or 12,345.00, with commas from 10,000 on',
  },
};

/** Stands for a variable where the text around it is checked. */
const anyValue = '\u0001';
/** A row of more digits reads as a code or a part of a phone number, whatever separates the digits but a letter. */
const codeLike = /\d(?:[^\p{L}\d]*\d){4}/u;
/** An amount that another number touches. */
const touchedAmount = new RegExp(String.raw`[\d${anyValue}][.,]?${anyValue}|${anyValue}[.,]?\d`);
/** A word with a variable, such as `bit.l{rest}`, that can become a link. */
const inWord = String.raw`[${anyValue}\p{sc=Latin}\d_-]`;
const joint = String.raw`[.。:\/\\@]+`;
const linkable = new RegExp(
  `${anyValue}${inWord}*${joint}${inWord}|${inWord}${joint}${inWord}*${anyValue}`,
  'u',
);
const thin = String.raw`(?:[\s'"\/_-]|[.,](?!\s))*`;
const besideCode = new RegExp(`${anyValue}${thin}%OTP%|%OTP%${thin}${anyValue}`);

/** Replaces the variables that have a value. */
function fill(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(token, (variable, name: string) => lookup(name) ?? variable);
}

/** Puts the brand into a text; without one leaves out `{brand}` and the space behind it. */
export function withBrand(text: string, brand: string | null): string {
  return brand === null ? text.replace(/\{brand\} ?/g, '') : text.replaceAll('{brand}', () => brand);
}

/** True if a request has to fill in something. */
export function hasVariables(text: string): boolean {
  return text.includes('{');
}

/** A text with its variables filled in, or the errors of their values; errors quote no value. */
export function renderTemplate(
  text: string,
  { variables }: Pick<Template, 'variables'>,
  { given, ttlSeconds }: { given: Readonly<Record<string, string>>; ttlSeconds: number },
): { text: string } | { errors: InputError[] } {
  const values = new Map([...variables].map(([name]) => [name, givenValue(given, name)]));
  const errors = [
    ...[...variables].flatMap(([name, variable]) => valueErrors(name, variable, values.get(name))),
    ...Object.keys(given).flatMap((name) => (variables.has(name) ? [] : [unknownVariable(name, variables)])),
    ...(ttlSeconds < leastMinuteSeconds && text.includes('{minutes}') ? [shortTtl] : []),
  ];
  if (errors.length > 0) return { errors };
  const minutes = String(Math.floor(ttlSeconds / 60));
  const value = (name: string) => (name === 'minutes' ? minutes : values.get(name));
  const message = fill(text, value);
  if (variables.size === 0) return { text: message };
  const [problem] = combinationProblems(text, variables, value);
  return problem === undefined ? { text: message } : { errors: [{ path: 'variables', message: problem }] };
}

/** What is checked and sent: without full-width and other forms of the same characters. */
function givenValue(given: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(given, name) ? given[name]?.normalize('NFKC') : undefined;
}

const shortTtl: InputError = {
  path: 'ttlSeconds',
  message: `must be at least ${leastMinuteSeconds}: the message names the validity in minutes`,
};

function valueErrors(name: string, { type, maxLength }: Variable, value: string | undefined): InputError[] {
  const path = `variables.${name}`;
  if (value === undefined) return [{ path, message: 'is missing' }];
  if (value === '') return [{ path, message: 'must not be empty' }];
  if (value.length > maxLength) return [{ path, message: `must have at most ${maxLength} characters` }];
  return types[type].shape.test(value) ? [] : [{ path, message: types[type].rule }];
}

function unknownVariable(name: string, variables: Template['variables']): InputError {
  // What holds digits may be a value in the wrong place.
  const path = `variables.${/^[A-Za-z_-]{1,40}$/.test(name) ? name : '?'}`;
  const names = [...variables.keys()].join(', ');
  return { path, message: `is unknown; the template has ${names === '' ? 'no variables' : names}` };
}

/** What the values make together, or with the text around them, that none of them is by itself. */
function combinationProblems(
  text: string,
  variables: Template['variables'],
  lookup: (name: string) => string | undefined,
): string[] {
  const message = fill(text, lookup);
  const parsed = parseMessage(message);
  if ('problem' in parsed) return [`make a wrong message: it ${parsed.problem}`];
  // Points and commas show what an amount is; a whole number counts as digits.
  const masked = unmask(
    fill(text, (name) => {
      const value = lookup(name);
      return variables.get(name)?.type === 'amount' && /[.,]/.test(value ?? '') ? anyValue : value;
    }),
  );
  if (touchedAmount.test(masked) || codeLike.test(masked)) {
    return [
      'make a row of five or more digits, which reads as a code or a phone number; keep letters between the digits',
    ];
  }
  // Wherever the message goes: a link of a value could not be told from one of the text.
  return brokenContentRules(message, 'MY').map(
    (rule) => `make a wrong message: it ${contentRuleMessages[rule]}`,
  );
}

/** What is wrong with a text of a template, so that no request can find it out. */
export function textProblems(text: string, variables: Template['variables']): string[] {
  const names = Array.from(text.matchAll(token), ([, name = '']) => name);
  const unknown = names.find((name) => !variables.has(name) && name !== 'minutes');
  if (unknown === 'brand') return ['holds {brand}, but the app has no brand'];
  if (unknown !== undefined) return [`holds {${unknown}}, which is not under variables`];
  if (/[{}]/.test(text.replace(token, ''))) {
    return ['must not hold { or } other than around the name of a variable, such as {minutes}'];
  }
  const longest = parseMessage(fill(text, (name) => longestValue(variables.get(name))));
  if ('problem' in longest)
    return [names.length > 0 ? `${longest.problem}, its variables at their longest` : longest.problem];
  if (names.length === 0) return [];
  const surroundings = unmask(fill(text, () => anyValue));
  if (besideCode.test(surroundings)) {
    return [
      'must have a word, a colon, or a comma and a space between a variable and %OTP%, so that the code is clear',
    ];
  }
  if (variables.size === 0) return [];
  if (linkable.test(surroundings)) {
    return ['must have a space in a word that holds a variable and . : / \\ or @, so that no link can arise'];
  }
  const problems = combinationProblems(text, variables, (name) => likelyValue(variables.get(name)));
  return problems.map((problem) => `has variables that ${problem}`);
}

/** The value that costs most. */
function longestValue(variable: Variable | undefined): string {
  if (!variable) return String(longestMinutes);
  return (variable.type === 'text' ? '字' : '9').repeat(variable.maxLength);
}

/** A value like those that requests will bring. */
function likelyValue(variable: Variable | undefined): string {
  if (!variable) return String(longestMinutes);
  if (variable.type === 'text') return 'Ali';
  if (variable.type === 'number') return '9'.repeat(variable.maxLength);
  return '9,999,999.99'.slice(-variable.maxLength).replace(/^[.,]/, '');
}

/** What is wrong with the variables of a template, by name. */
export function variableProblems({ texts, variables }: Template): [name: string, problem: string][] {
  const all = [...texts.values()].join('');
  return [...variables.keys()].flatMap((name): [string, string][] => {
    if (builtIn.includes(name)) return [[name, 'is built in and cannot be declared']];
    return all.includes(`{${name}}`) ? [] : [[name, 'is in no text of the template']];
  });
}

/** True if the message can be this text with its variables filled in. */
export function isOfText(text: string, message: string): boolean {
  const [first = '', ...rest] = text.replace(token, anyValue).split(anyValue);
  const last = rest.pop();
  if (last === undefined) return text === message;
  if (!message.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = message.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return message.length - last.length >= at && message.endsWith(last);
}

/**
 * The text of a template in the best matching language: `zh-Hans-MY`, then `zh-Hans`, `zh` (BCP 47 lookup, RFC 4647
 * §3.4), then the default language, then the first.
 */
export function textOf({ texts }: Template, locale: string | undefined, defaultLocale: string): string {
  const wanted = locale === undefined ? [] : lookups(locale.toLowerCase());
  const found = [...wanted, ...lookups(defaultLocale)].find((tag) => texts.has(tag));
  return texts.get(found ?? '') ?? [...texts.values()][0] ?? '';
}

/** True if the lookup of `textOf` finds a text in this language. */
export function hasLocale({ texts }: Template, locale: string): boolean {
  return lookups(locale.toLowerCase()).some((tag) => texts.has(tag));
}

function lookups(tag: string): string[] {
  const parts = tag.split('-');
  return parts.map((_, i) => parts.slice(0, parts.length - i).join('-'));
}

import type { InputError } from '../lib/input-errors.js';
import { brokenContentRules, parseMessage, unmask } from './message.js';

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

/**
 * A value that requests bring. None holds a dot beside a letter, a colon, or a row of five digits. Digits written as words
 * remain possible, but no phone makes a link of them.
 */
export interface Variable {
  type: 'text' | 'number' | 'amount';
  /** In UTF-16 code units, as messages are billed; of an amount with its commas. */
  maxLength: number;
}

/** A variable in a text. */
const token = /\{([a-z][A-Za-z0-9_]{0,31})\}/g;
const builtIn = ['brand', 'minutes'];
/** Of an OTP's validity. */
const longestMinutes = 10;
export const minTtlForMinutes = 60;

/**
 * Of the scripts of Malaysia's languages, without what looks like a full stop, a colon or a bar; a Tamil letter with at
 * most two marks, since more of them cover the lines beside.
 */
const letter = String.raw`(?:[[\p{Lu}\p{Ll}\p{Lt}]&&\p{sc=Latin}]|[[\p{Lo}&&[\p{sc=Han}\p{sc=Arabic}]]--[丶丨丿]]|[\p{Lo}&&\p{sc=Tamil}][\p{M}&&\p{sc=Tamil}]{0,2})`;
const textShape = new RegExp(
  String.raw`^(?:${letter}|[0-9\(])(?:(?:${letter}|[0-9 '’&,\(\)\/\-])*(?:${letter}|[0-9\)]))?$`,
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
    rule: 'must be an amount such as 50, 1234.50 or 12,345.00',
  },
};

/** Stands for a variable where the text around it is checked. */
const variableMark = '\u0001';
/** A row of more digits reads as a code or a part of a phone number, unless a letter separates the digits. */
const codeLike = /\d(?:[^\p{L}\d]*\d){4}/u;
/** By the digit that each of them is. */
const hanNumerals = ['零〇', '一壹幺', '二贰貳', '三叁參', '四肆', '五伍', '六陆陸', '七柒', '八捌', '九玖'];
const hanNumeral = new RegExp(`[${hanNumerals.join('')}]`, 'gu');
/** A word of digits and letters like them, or such letters between digits: `O3`, `2l6l`, `Kod12O456`. */
const lookalikeDigits = /(?<![\p{sc=Latin}\d])[0-9OoIl]*\d[0-9OoIl]*(?![\p{sc=Latin}\d])|\d[0-9OoIl]*\d/gu;
/** A dot that is spelled out between two words of values. */
const spelledDot = /[\p{L}\p{M}\p{N}][^\p{L}\p{M}\p{N}.]+(?:dot|titik)[^\p{L}\p{M}\p{N}.]+[\p{L}\p{N}]/iu;
/** An amount that another number adjoins. */
const adjoiningAmount = new RegExp(
  String.raw`[\d${variableMark}][.,]?${variableMark}|${variableMark}[.,]?\d`,
);
/** What joins words to a link, and the many characters that look like it. */
const linkSeparators = String.raw`(?:[\p{Po}--[!"#%&'*,;?¡¿、。]]|[∙⋅ꓸꓹꓺꓻꓼꓽꞏᆞ丶ˑː˸꞉∶⁄∕⧸])`;
/** A word with a variable, such as `bit.l{rest}`, that can become a link. */
const linkable = [
  linkShape(String.raw`[${variableMark}\p{L}\p{M}\p{N}_\-]`, linkSeparators),
  // Chinese sentences follow each other without a space.
  linkShape(String.raw`[${variableMark}\p{sc=Latin}\d_\-]`, `(?:${linkSeparators}|。)`),
];
/** A variable and the code without a word, a colon or the like between them. */
const besideCode = new RegExp(
  String.raw`${variableMark}(?![,.] |。)[^\p{L}:${variableMark}]*%OTP%|%OTP%(?![,.] |。| \()[^\p{L}:${variableMark}]*${variableMark}`,
  'u',
);

function linkShape(inWord: string, separator: string): RegExp {
  const [value, joined] = [variableMark, `(?:${separator})+`];
  return new RegExp(`${value}${inWord}*${joined}${inWord}|${inWord}${joined}${inWord}*${value}`, 'v');
}

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
  const values = new Map([...variables].map(([name, { type }]) => [name, givenValue(given, name, type)]));
  const errors = [
    ...[...variables].flatMap(([name, variable]) => valueErrors(name, variable, values.get(name))),
    ...Object.keys(given).flatMap((name) => (variables.has(name) ? [] : [unknownVariable(name, variables)])),
    ...(ttlSeconds < minTtlForMinutes && text.includes('{minutes}') ? [shortTtl] : []),
  ];
  if (errors.length > 0) return { errors };
  const minutes = String(Math.floor(ttlSeconds / 60));
  const value = (name: string) => (name === 'minutes' ? minutes : values.get(name));
  const message = fill(text, value);
  if (variables.size === 0) return { text: message };
  const parsed = parseMessage(message);
  const problem =
    'problem' in parsed ? `must fit the text: the message ${parsed.problem}` : harmIn(text, variables, value);
  return problem === null ? { text: message } : { errors: [{ path: 'variables', message: problem }] };
}

/** What is checked and sent: without full-width and other forms of the same characters, and an amount with its commas. */
function givenValue(
  given: Readonly<Record<string, string>>,
  name: string,
  type: Variable['type'],
): string | undefined {
  const value = Object.hasOwn(given, name) ? given[name]?.normalize('NFKC') : undefined;
  if (type !== 'amount' || value === undefined || !/^[1-9]\d{4,14}(?:\.\d\d)?$/.test(value)) return value;
  return value.replace(/\d(?=(?:\d{3})+(?:\.|$))/g, '$&,');
}

const shortTtl: InputError = {
  path: 'ttlSeconds',
  message: `must be at least ${minTtlForMinutes}: the message names the validity in minutes`,
};

function valueErrors(name: string, { type, maxLength }: Variable, value: string | undefined): InputError[] {
  const path = `variables.${name}`;
  if (value === undefined) return [{ path, message: 'is missing' }];
  if (value === '') return [{ path, message: 'must not be empty' }];
  if (value.length > maxLength) {
    const counted = type === 'amount' ? ', its commas among them' : '';
    return [{ path, message: `must have at most ${maxLength} characters${counted}` }];
  }
  return types[type].shape.test(value) ? [] : [{ path, message: types[type].rule }];
}

function unknownVariable(name: string, variables: Template['variables']): InputError {
  // What holds digits may be a value in the wrong place.
  const path = `variables.${/^[A-Za-z_-]{1,40}$/.test(name) ? name : '?'}`;
  const names = [...variables.keys()].join(', ');
  return { path, message: `is unknown; the template has ${names === '' ? 'no variables' : names}` };
}

/** What a message with variables must not hold, wherever it goes: a link of a value could not be told from one of the text. */
const harms = {
  link: 'must not make a link or web address',
  callback_number: 'must not make a number of 7 or more digits that could be called',
  personal_data:
    'must not make a request for personal data such as IC, card or account numbers, PINs or passwords',
  row: 'must not make a row of five or more digits, which reads as a code or a phone number; keep letters between the digits',
  spelled_dot: 'must not have `dot` or `titik` between words, which reads as a link',
};

/** What the values make together, or with the text around them, that none of them is by itself; null if nothing. */
function harmIn(
  text: string,
  variables: Template['variables'],
  lookup: (name: string) => string | undefined,
): string | null {
  // Points and commas show what an amount is; a whole number counts as digits.
  const masked = unmask(
    fill(text, (name) => {
      const value = lookup(name);
      return variables.get(name)?.type === 'amount' && /[.,]/.test(value ?? '') ? variableMark : value;
    }),
  );
  if (adjoiningAmount.test(masked) || codeLike.test(withDigits(masked))) return harms.row;
  if (spelledDot.test(masked) && spelledDot.test(fill(withoutWords(text), lookup))) return harms.spelled_dot;
  const [rule] = brokenContentRules(masked.replaceAll(variableMark, '#'), 'MY');
  return rule === undefined ? null : harms[rule];
}

/** With digits in place of what reads as one. */
function withDigits(message: string): string {
  return message
    .replace(hanNumeral, (numeral) => String(hanNumerals.findIndex((same) => same.includes(numeral))))
    .replace(lookalikeDigits, (word) => word.replace(/[Oo]/g, '0').replace(/[Il]/g, '1'));
}

/** A text of a template with a full stop in place of each of its own words. */
function withoutWords(text: string): string {
  return text.replace(/\{\w+\}|[\p{L}\p{N}]+/gu, (part) => (part.startsWith('{') ? part : '.'));
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
  // A full-width comma has its space within.
  if (besideCode.test(unmask(fill(text.replaceAll('，', '， '), () => variableMark)))) {
    return [
      'must have a word, a colon, or a comma or full stop and a space between a variable and %OTP%, so that the code is clear',
    ];
  }
  if (variables.size === 0) return [];
  // Chinese sentences have a full-width colon without a space, too.
  const words = unmask(fill(text.replaceAll('：', '。'), () => variableMark));
  if (linkable.some((shape) => shape.test(words))) {
    return [
      'must not join a variable to other text by . : / \\ or @: write `shop. {name}`, not `shop.{name}`, so that no link can arise',
    ];
  }
  const harm = harmIn(text, variables, (name) => likelyValue(variables.get(name)));
  return harm === null ? [] : [`has variables, so it ${harm}`];
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

/** True if the message can be this text, filled in with values that fit its variables. */
export function matchesTemplate(
  text: string,
  { variables }: Pick<Template, 'variables'>,
  message: string,
): boolean {
  const [first = '', ...rest] = text.split(token);
  let starts = new Set(message.startsWith(first) ? [first.length] : []);
  for (let i = 0; i < rest.length; i += 2) {
    const [variable, literal = ''] = [variables.get(rest[i] ?? ''), rest[i + 1]];
    const ends = new Set<number>();
    for (const start of starts) {
      const last = Math.min(start + (variable?.maxLength ?? 2), message.length);
      for (let end = start + 1; end <= last; end++) {
        if (message.startsWith(literal, end) && fits(variable, message.slice(start, end)))
          ends.add(end + literal.length);
      }
    }
    starts = ends;
  }
  return starts.has(message.length);
}

/** Whether a value fits a variable, or the built-in `minutes`. */
function fits(variable: Variable | undefined, value: string): boolean {
  if (!variable) return types.number.shape.test(value);
  return (
    types[variable.type].shape.test(value) &&
    (variable.type === 'amount' || !codeLike.test(withDigits(value)))
  );
}

/**
 * The text of a template in the best matching language: `zh-Hans-MY`, then `zh-Hans`, `zh` (BCP 47 lookup, RFC 4647
 * §3.4), then the default language, then the first.
 */
export function selectText({ texts }: Template, locale: string | undefined, defaultLocale: string): string {
  const wanted = locale === undefined ? [] : lookups(locale.toLowerCase());
  const found = [...wanted, ...lookups(defaultLocale)].find((tag) => texts.has(tag));
  return texts.get(found ?? '') ?? [...texts.values()][0] ?? '';
}

/** True if the lookup of `selectText` finds a text in this language. */
export function hasLocale({ texts }: Template, locale: string): boolean {
  return lookups(locale.toLowerCase()).some((tag) => texts.has(tag));
}

function lookups(tag: string): string[] {
  const parts = tag.split('-');
  return parts.map((_, i) => parts.slice(0, parts.length - i).join('-'));
}

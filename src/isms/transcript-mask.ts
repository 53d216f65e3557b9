import type { PhoneNumber } from '../otp/phone-number.js';
import { escapeRegExp } from './replies.js';

const hidden = '…';
const maxTextLength = 2_000;

/** Members whose values are a code, a name or a number. */
const secretMember =
  /("(?:code|un|username|user|pass|password|mobile)"\s*:\s*)("(?:[^"\\]|\\.)*"|-?[\d.]+)/gi;
/** A code that a reply names, which its text may repeat. */
const namedCode = /"code"\s*:\s*"?([^",}\s]{3,})/gi;
/** What a terminal could obey. */
const control = /(?![\n\t])\p{Cc}/gu;
/** An error code in place of an OTP's code; it is no secret. */
const errorCode = /^"?-\d{4}"?$/;

/**
 * Makes the function that hides login, number and codes in a reply of iSMS, also in other notations than they were sent
 * in. A group of exactly six digits is taken for a code.
 */
export function createMask(secrets: { username: string; password: string; to: PhoneNumber }) {
  const { username, password, to } = secrets;
  const logins = [password, ...(username.length > 2 ? [username] : [])].flatMap(notations);
  // Digits may be set apart, as in +60 12-345 6789.
  const number = new RegExp([...to.national].join('[\\s().-]*'), 'g');
  return (text: string, codes: readonly string[]): string => {
    const named = Array.from(text.matchAll(namedCode), ([, code = '']) => code).filter(
      (code) => !errorCode.test(code),
    );
    let shown = text.replaceAll(secretMember, (all, name: string, value: string) =>
      errorCode.test(value) ? all : `${name}"${hidden}"`,
    );
    for (const secret of [...logins, ...codes, ...named].filter((one) => one !== '')) {
      shown = shown.replaceAll(new RegExp(escapeRegExp(secret), 'gi'), hidden);
    }
    shown = shown.replaceAll(control, (char) => JSON.stringify(char).slice(1, -1));
    shown = shown.replaceAll(number, hidden).replaceAll(/(?<!\d)\d{6}(?!\d)/g, hidden);
    return shown.length > maxTextLength ? `${shown.slice(0, maxTextLength)}${hidden}` : shown;
  };
}

/** The name of an account, of which only first and last letter show. */
export function maskedName(name: string): string {
  return name.length > 4 ? `${name[0]}${hidden}${name.at(-1)}` : hidden;
}

/** A text as it stands, and as URLs, forms, JSON and PHP's JSON write it. */
function notations(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  const php = json
    .replaceAll('/', '\\/')
    .replaceAll(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const form = String(new URLSearchParams({ '': text })).slice(1);
  return [...new Set([text, encodeURIComponent(text), form, json, php])];
}

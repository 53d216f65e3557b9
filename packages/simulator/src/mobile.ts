const malaysianMobile = /^1\d{8,9}$/;
const foreignMobile = /^[1-9]\d{5,12}$/;
const countryCode = /^[1-9]\d{0,2}$/;
const malaysia = '60';

/**
 * Joins the two parameters of a call to E.164 (`+60123456789`). Null if they break the rule of iSMS: digits only, no
 * country code and no leading zero in `mobile`.
 */
export function joinMobile(country: string, mobile: string): string | null {
  const shape = country === malaysia ? malaysianMobile : foreignMobile;
  return countryCode.test(country) && shape.test(mobile) ? `+${country}${mobile}` : null;
}

/** Converts a number of a query (`+60…`, `60…`, `01…`, `1…`) to E.164. */
export function readMobile(text: string): string {
  const digits = text.replace(/\D/g, '');
  if (digits.startsWith('0')) return `+${malaysia}${digits.slice(1)}`;
  return malaysianMobile.test(digits) ? `+${malaysia}${digits}` : `+${digits}`;
}

/** The number as in replies of iSMS: `+6012-3456789`. */
export function replyMobile(e164: string): string {
  return e164.startsWith(`+${malaysia}`) ? `${e164.slice(0, 5)}-${e164.slice(5)}` : e164;
}

/** What iSMS replaces with the six-digit code. */
export const placeholder = '%OTP%';

/** Characters billed as one credit: 160 or 70, less the seven of "RM0.00 " that Malaysian law puts in front. */
const charactersPerCredit = { ascii: 153, unicode: 63 };
const maxCredits = 5;
const codeLength = 6;

const ascii = /^[\n\r\x20-\x7e]*$/;
/** Printable ASCII that GSM 03.38 keeps in its extension table, where each takes two characters. */
const extended = /[\^{}\\[\]~|]/g;
const forbidden = /[\p{Cc}\p{Cs}]/u;

export interface Message {
  template: string;
  /** False: iSMS type 1 (ASCII); true: type 2 (Unicode). */
  unicode: boolean;
  /** Credits that one send costs. */
  credits: number;
}

/** Works out encoding and price of a template, or says in one sentence what is wrong with it. */
export function parseMessage(template: string): Message | { problem: string } {
  if (template.split(placeholder).length !== 2) {
    return { problem: `must hold ${placeholder} exactly once` };
  }
  if (forbidden.test(template.replace(/[\n\r]/g, ''))) {
    return { problem: 'must not hold control characters or broken surrogate pairs' };
  }
  const unicode = !ascii.test(template);
  const credits = Math.ceil(
    billedLength(template, unicode) / charactersPerCredit[unicode ? 'unicode' : 'ascii'],
  );
  if (credits > maxCredits) {
    return { problem: `must not cost more than ${maxCredits} credits; this one costs ${credits}` };
  }
  return { template, unicode, credits };
}

function billedLength(template: string, unicode: boolean): number {
  const length = template.length - placeholder.length + codeLength;
  return unicode ? length : length + (template.match(extended)?.length ?? 0);
}

/** Letters and digits, at most 11 (iSMS 2FA page, `sendid`). Malaysian handsets do not show it. */
export const senderIdShape = /^[A-Za-z0-9]{1,11}$/;

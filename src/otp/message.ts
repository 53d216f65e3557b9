/** iSMS replaces it with the six-digit code. */
const placeholder = '%OTP%';

/** Characters billed as one credit: 160 or 70, less the seven of "RM0.00 " that Malaysian law puts in front. */
const charactersPerCredit = { ascii: 153, unicode: 63 };
const maxCredits = 5;
const codeLength = 6;

const ascii = /^[\n\r\x20-\x7e]*$/;
/** Printable ASCII that GSM 03.38 keeps in its extension table, where each takes two characters. */
const extended = /[\^{}\\[\]~|]/g;
const forbidden = /[\p{Cc}\p{Cs}]/u;

interface Message {
  template: string;
  /** False: iSMS type 1 (ASCII); true: type 2 (Unicode). */
  unicode: boolean;
  /** Credits that one send costs. */
  credits: number;
}

/** The encoding and price of a template, or a sentence with its error. */
export function parseMessage(template: string): Message | { problem: string } {
  if (template.split(placeholder).length !== 2) {
    return { problem: `must hold ${placeholder} exactly once` };
  }
  if (forbidden.test(template.replace(/[\n\r]/g, ''))) {
    return { problem: 'must not hold control characters or broken surrogate pairs' };
  }
  const unicode = !ascii.test(template);
  const length = template.length - placeholder.length + codeLength;
  const billed = unicode ? length : length + (template.match(extended)?.length ?? 0);
  const credits = Math.ceil(billed / charactersPerCredit[unicode ? 'unicode' : 'ascii']);
  if (credits > maxCredits) {
    return { problem: `must not cost more than ${maxCredits} credits; this one costs ${credits}` };
  }
  return { template, unicode, credits };
}

/** Letters and digits, at most 11 (iSMS 2FA page, `sendid`). Malaysian handsets do not show it. */
export const senderIdShape = /^[A-Za-z0-9]{1,11}$/;

/** Content that MCMC, the Malaysian regulator, bans in SMS, in the order in which broken rules are listed. */
const contentRules = ['link', 'callback_number', 'personal_data'] as const;
type ContentRule = (typeof contentRules)[number];

/** What to change in a message that breaks the rule. */
export const contentRuleMessages: Record<ContentRule, string> = {
  link: 'must not hold a link or web address: MCMC bans links in SMS to Malaysia (since 1 September 2024)',
  callback_number:
    'must not hold a number of 7 or more digits that could be called: MCMC bans call-back numbers in SMS to Malaysia (since 1 September 2024)',
  personal_data:
    'must not ask for personal data such as IC, card or account numbers, PINs or passwords: MCMC bans such requests in SMS to Malaysia (since 1 September 2024)',
};

const holds: Record<ContentRule, (text: string) => boolean> = {
  link: holdsLink,
  callback_number: (text) => holdsCallbackNumber(text.toLowerCase()),
  personal_data: (text) => asksForPersonalData(text.toLowerCase()),
};

/**
 * The rules that a template breaks, each once, in the order of `contentRules`; none outside `country` 'MY'.
 * A heuristic on the wording, linear in its length: it can miss a violation and report a false one.
 * Rule: MCMC directive in force for businesses since 1 September 2024
 * (https://thestar.com.my/tech/tech-news/2024/09/02/mcmc-bans-sms-with-hyperlinks-callback-numbers-and-personal-info-requests-from-sept-1).
 */
export function brokenContentRules(template: string, country: string): ContentRule[] {
  if (country !== 'MY') return [];
  const text = unmask(template);
  return contentRules.filter((rule) => holds[rule](text));
}

/**
 * True if the message names the brand, in any case and not within a longer word. Malaysian operators replace sender IDs
 * by numbers, so that only the text tells who sends (https://docs.mapp.com/docs/malaysia.md).
 */
export function namesBrand(template: string, brand: string): boolean {
  // A brand that touches the code is not read as a word.
  const text = unmask(template.replace(placeholder, '0'.repeat(codeLength))).toLowerCase();
  const name = unmask(brand).toLowerCase();
  const inWord = /[\p{sc=Latin}\p{N}]/u;
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + 1)) {
    const [before, after] = [text.charAt(at - 1), text.charAt(at + name.length)];
    const startsInWord = inWord.test(before) && inWord.test(name.charAt(0));
    if (!startsInWord && !(inWord.test(after) && inWord.test(name.charAt(name.length - 1)))) return true;
  }
  return false;
}

/** Normalises full-width forms, zero-width characters, padding and digits of other scripts. */
export function unmask(template: string): string {
  return template
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(/[^\S\n]+/g, ' ')
    .replace(/(?!\d)\p{Nd}/gu, asciiDigit);
}

/** Unicode has each script's decimal digits in a row from 0 to 9, and rows may touch. */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0) ?? 0;
  let start = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(start - 1))) start -= 1;
  return String((code - start) % 10);
}

// Links. Every pattern starts from a fixed character and repeats nothing unbounded, so each is linear.

const secondLevel = 'com|co|net|org|gov|edu|ac|go|or';
const plainTlds = 'com|xyz|biz';
const rareTlds =
  'org|edu|gov|mil|io|ly|gl|gg|gd|gy|cc|ee|tv|ws|pw|tk|ml|cf|gq|icu|asia|sg|cn|hk|tw|uk|us|ca|au|nz|eu|ru|jp|kr|th|vn|ph|bn';
/** Also words that can start a sentence: `code.My` is a missing space, `example.my` is not. */
const wordTlds =
  'my|me|co|net|info|app|link|live|online|site|website|space|shop|store|club|top|click|one|pay|win|vip|bank|page|pro|work|tech|world|today|news|life|fun|cloud|digital|mobi|name|dev|ai|de|fr|la';
/** Plain words unless a path follows. */
const pathTlds = `${plainTlds}|${rareTlds}|${wordTlds}|in|it|is|to|at|so|be|am|no|do|st|sh|re|im|gs|ga`;
const shorteners =
  'bit.ly|wa.me|t.me|m.me|fb.me|t.co|t.ly|ow.ly|goo.gl|is.gd|v.gd|rb.gy|s.id|cutt.ly|rebrand.ly|buff.ly|shorturl.at|lnkd.in|amzn.to|tiny.cc|shope.ee|linktr.ee|wasap.my';
const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const ipAddress = `(?<![\\d.]|v|version |versi )${octet}(?:\\.${octet}){3}(?!\\d|\\.\\d)`;

const links = [
  /[a-z*]{2} ?: ?[/\\] ?[/\\]/i,
  /(?<![a-z0-9])h ?[tx*] ?[tx*] ?p ?s?(?![a-z0-9])/i,
  /(?<![a-z0-9])w ?w ?w\d?(?![a-z])/i,
  /xn--[a-z0-9]/i,
  new RegExp(`[\\p{L}\\p{N}] ?[.,。] ?(?:${spaced('com')}|${plainTlds})(?![a-z0-9])`, 'iu'),
  new RegExp(`[\\p{L}\\p{N}][.。](?:${rareTlds})(?![a-z0-9])`, 'iu'),
  new RegExp(`[\\p{L}\\p{N}]{2}[.。](?:${wordTlds}|${wordTlds.toUpperCase()})(?![A-Za-z0-9])`, 'u'),
  new RegExp(`[\\p{L}\\p{N}] \\. ?(?:${rareTlds}|${wordTlds})(?![A-Za-z0-9])`, 'u'),
  new RegExp(`[\\p{L}\\p{N}]\\.(?:${pathTlds}) ?/ ?[a-z0-9%]`, 'iu'),
  // Any top-level domain, since new ones come every year; in mixed case (`Sdn.Bhd/PLT`) it is a forgotten space.
  /[\p{L}\p{N}][.。](?:\p{Lu}{2,24}|[\p{Ll}\p{Lo}]{2,24})(?:[/\\]|[?#][\p{L}\p{N}])/u,
  new RegExp(`[\\p{L}\\p{N}]\\.(?:${secondLevel})\\.[a-z]{2}(?![a-z0-9])`, 'iu'),
  new RegExp(`(?<![a-z0-9])(?:${shorteners.split('|').map(spaced).join('|')})(?![a-z0-9])`, 'i'),
  new RegExp(ipAddress, 'i'),
];

/** A pattern that also finds the word with a space between any two of its characters. */
function spaced(word: string): string {
  return [...word].map((letter) => (letter === '.' ? '\\.' : letter)).join(' ?');
}

function holdsLink(text: string): boolean {
  const dotted = text
    .replace(/ ?[[({<] ?(?:\.|dot|titik) ?[\])}>] ?/gi, '.')
    .replace(/ (?:dot|titik) | ?[点點] ?(?=com|net|org|my)/gi, '.');
  return links.some((link) => link.test(dotted));
}

// Call-back numbers: numbers that are clearly of another kind are removed, then digits are counted.

const dialledDigits = 7;
const maxOrderDigits = 6;

const day = '(?:0?[1-9]|[12]\\d|3[01])';
const month = '(?:0?[1-9]|1[0-2])';
const year = '(?:19|20)\\d\\d';
const sep = '[-./]';
const date = `(?:${day}${sep}${month}${sep}(?:20)?\\d\\d|${year}${sep}${month}${sep}${day})`;
const clock = '(?:[01]?\\d|2[0-3])\\.[0-5]\\d';

const otherNumbers = [
  /(?<![a-z])(?:rm|myr|usd|sgd|rmb|us\$|s\$|[$€£¥]) ?[1-9][\d,]*(?:\.\d{1,2})?(?!\d)/g,
  /(?<!\d[ -]?|[,.])[1-9][\d,]*(?:\.\d\d)? ?(?:rm|myr|ringgit|令吉|元)(?! ?\d)/g,
  alone(`${date} ?[-–] ?${date}`),
  alone(date),
  alone(`${year} ?[-–/] ?${year}`),
  alone(`${month}/${year}`),
  alone(`${day}/${month}`),
  alone('\\d{1,2}:\\d\\d ?[-–~] ?\\d{1,2}:\\d\\d'),
  alone('\\d{1,2}:\\d\\d(?::\\d\\d)?'),
  // Thousands: `1,234,567 points`.
  alone('[1-9]\\d{0,2}(?:,\\d{3}){1,2}(?!,\\d)'),
  alone(`${clock} ?[-–] ?${clock}`),
  new RegExp(ipAddress, 'g'),
  // Hidden digits: `1234****5678` cannot be dialled.
  /[*•●]{2,}/g,
];

/** Not part of a longer row of digits: `01-02-03` is a date, `01-02-03-04` is not. */
function alone(shape: string): RegExp {
  return new RegExp(`(?<!\\d|\\d[-./])${shape}(?!\\d|[-./]\\d)`, 'g');
}

const reference = /(?<![a-z0-9])[a-z][a-z0-9_/-]*/g;
const phoneWord =
  /^(?:call|tel|phone|hotline|contact|dial|mobile|hp|fax|whatsapp|wasap|sms|hubungi|telefon|talian|panggil)/;
const tollFree = /(?<![\da-z])1[ -]{0,3}[38]00[ -]{1,2}[a-z0-9]{2}/;
/** Digits and their separators; only a letter, or a number of another kind ('#'), stands between two numbers. */
const numberRun = /\+?\d[^\p{L}#]*[a-z#]?/gu;

/** A full stop before white space ends a sentence, and a comma before one or two digits goes on with a list. */
const numberEnd = /[.。]\s|[,;、](?= ?\d{1,2}(?!\d))/;

function holdsCallbackNumber(text: string): boolean {
  if (tollFree.test(text)) return true;
  const rest = otherNumbers
    .reduce((left, shape) => left.replace(shape, '#'), text)
    .replace(reference, (word) => (phoneWord.test(word) ? word : '#'));
  const runs = rest.match(numberRun) ?? [];
  return runs.flatMap((run) => run.split(numberEnd)).some(canBeDialled);
}

function canBeDialled(run: string): boolean {
  const digits = run.replace(/\D/g, '');
  if (digits.length < dialledDigits) return false;
  if (/^(?:\+|0|60)/.test(run)) return !isOrderNumber(run, digits.length);
  return !/\d[-_/]?[a-z#]$/.test(run) && !isOrderNumber(run, digits.length);
}

/** Five or six digits with a small number beside them: `order 123456 (2 items)`, but not `082-000000`. */
function isOrderNumber(run: string, digits: number): boolean {
  if (/^(?:\+|0\d{1,2}(?!\d))/.test(run)) return false;
  const longest = run.split(/\D/).reduce((most, group) => Math.max(most, group.length), 0);
  return longest >= maxOrderDigits - 1 && longest <= maxOrderDigits && digits - longest <= 3;
}

// Requests for personal data: a verb of asking, then a datum nearby in the same sentence.

const reach = 40;
const lookBack = 45;

const verbs =
  '(?:(?<![a-z])(?:reply(?:ing)?|send(?:ing)?|submit|give|enter(?:ing)?|key in|fill in|provid(?:e|ing)|share|confirm|verify|tell|update(?! ?:)|(?:meng)?hantar(?:kan)?|(?:mem)?balas|(?:mem)?beri(?:kan)?|(?:me)?masukkan|isi(?:kan)?|nyatakan|(?:meng|ber)?kongsi(?:kan)?|sahkan|mengesahkan|(?:k|meng)emas ?kini)(?![a-z])|回复|回覆|发送|發送|发给|提供|输入|輸入|填写|提交|告知|告诉)';
const identity =
  '(?:(?<![a-z])(?:ic|nric|mykad|mypr|pass?port|kad pengenalan|no ?kp|identity card|identification (?:card|number|no)|(?:card|account|acct?|a/c) ?(?:number|num|no|details)|(?:nombor|no) (?:akaun|kad)|butiran kad|cvv2?|cvc2?|date of birth|tarikh lahir|personal (?:data|details|information)|maklumat peribadi)(?![a-z])|身[份分][证證]|护照|银行卡|銀行卡|信用卡号|卡号|账号|账户号|帐号|賬號|帳號|安全码|出生日期|个人资料|个人信息)';
const secret = '(?:(?<![a-z])(?:pins?|passwords?|kata ?laluan)(?![a-z])|密码|密碼)';

/** Names of the OTP that contain a word for a secret. */
const otpNames = [
  /one[- ]?time (?:password|pin)|(?:temporary|verification|sms|otp|tac) (?:password|pin)/g,
  /kata ?laluan (?:sekali|satu kali|sementara)|(?:pin|kata ?laluan) (?:ini|berikut)(?![a-z])/g,
  /(?<![a-z])(?:this|following|the \d-digit) (?:password|pin)(?![a-z])/g,
  /(?:动态|動態|一次性|临时|臨時|短信|验证|此|该|以下)(?:密码|密碼|口令)/g,
  /(?:(?<![a-z])(?:pin|password|kata ?laluan)|密码|密碼)(?: anda)?(?: is| ialah| adalah|为|是)?[ :='"“-]{0,3}%otp%/g,
];
const code = /%otp%|(?<![a-z])(?:code|kod|otp|tac|passcode)(?![a-z])|验证码|驗證碼|校验码|动态码/;
const joins = /(?<![a-z])(?:and|with|plus|dan|serta|bersama|beserta)(?![a-z])|[&+,]|和|及|与|並|并/;
const purpose = /(?<![a-z])(?:to|for|untuk|bagi)(?![a-z])|以(?!及)|用于|来/;
/** An action on the datum, not a request for it: `to reset your password`, `PIN change`. */
const changes =
  /(?<![a-z])(?:reset|chang(?:e|ing)|set|create|choose|recover|tukar|menukar|pertukaran|penukaran|tetapan|tetapkan|menetapkan)(?![a-z])|重置|重设|修改|更改|设置|找回|绑定/;
const changed = /^ ?(?:change|reset|update|recovery|renewal|request|重置|重设|修改|更改|找回)/;

const refusal =
  /never|(?<![a-z])(?:do|must|should|will|shall|need)(?: ?not|n.?t)(?![a-z])|won.?t|can.t|not to|beware|scammers?|jangan|(?<![a-z])usah|elak|waspada|awas|tidak (?:akan|pernah|perlu|boleh)|takkan|tak (?:akan|perlu|payah)|勿|不要|不会|不會|不得|不可|不能|不应|绝不|切莫|无需|不必|从不|谨防|警惕|别$|已.{0,6}$/;
const clauseEnd = /[,，、:;()]| (?:but|and|tetapi|tapi|dan) |但/;
/** An action of the sender, or the purpose of the code. */
const ownDeed = /(?:(?<![a-z])we(?: will|'ll)?|kami(?: akan)?|我们(?:会|将)?) ?$/;
const codePurpose = /(?:(?<![a-z])(?:to|for|untuk|bagi|code|kod)|以|来|用于) ?$/;

const verbAnywhere = new RegExp(verbs, 'g');
const datum = new RegExp(`${identity}|${secret}`, 'g');
/** Without the flag `g`, so that it keeps no position between calls. */
const anyDatum = new RegExp(datum.source);
const verbChain = new RegExp(`(${verbs})(?: ?[,、/] ?(?:or |and |atau |dan )?| and | dan )(?=${verbs})`, 'g');
const datumFirst = [
  new RegExp(
    `${identity}.{0,30}(?:please|sila|kindly|mohon|tolong|请) ?${verbs}(?!.{0,12}(?:${code.source}))`,
  ),
  new RegExp(
    `(?<!(?:勿|不要|别|不会|不得|切莫).{0,8})[把将將].{0,12}(?:${identity}|${secret}).{0,10}(?:回复|发送|发给|提供|告知|告诉|提交)`,
  ),
];

function asksForPersonalData(text: string): boolean {
  if (text.search(verbAnywhere) < 0) return false;
  const plain = otpNames.reduce((left, name) => left.replace(name, ' code '), joinAbbreviations(text));
  if (plain.search(datum) < 0) return false;
  // A line break after a colon opens a list that belongs to the sentence.
  return plain
    .replace(verbChain, '$1 or ')
    .split(/(?:[.!?。！？]|(?<!: ?)\n)+/)
    .some((sentence) => sentence.search(datum) >= 0 && asks(sentence));
}

/** `No. I.C.` must not end a sentence. */
function joinAbbreviations(text: string): string {
  return text
    .replace(/(?<![a-z])([ik])[./]([cp])(?![a-z])\.?/g, '$1$2')
    .replace(/(?<![a-z])(no|num|acct?)\. ?/g, '$1 ');
}

function asks(sentence: string): boolean {
  if (datumFirst.some((shape) => shape.test(sentence))) return true;
  const aboutCode = code.test(sentence);
  const data = Array.from(sentence.matchAll(datum), ({ index }) => index).reverse();
  for (const verb of sentence.matchAll(verbAnywhere)) {
    const end = verb.index + verb[0].length;
    while ((data.at(-1) ?? end) < end) data.pop();
    if ((data.at(-1) ?? Infinity) > end + reach) continue;
    if (!isObject(sentence.slice(end, end + reach + 20))) continue;
    const before = sentence.slice(Math.max(0, verb.index - lookBack), verb.index);
    if (!(aboutCode && codePurpose.test(before)) && !isHarmless(before)) return true;
  }
  return false;
}

/** True if the next datum is the verb's object, rather than the code or a change of the datum. */
function isObject(after: string): boolean {
  const found = anyDatum.exec(after);
  if (!found) return false;
  const between = after.slice(0, found.index);
  if (changes.test(between) || changed.test(after.slice(found.index + found[0].length))) return false;
  const theCode = code.exec(between);
  if (!theCode) return true;
  const tail = between.slice(theCode.index + theCode[0].length);
  return joins.test(tail) && !purpose.test(tail);
}

/** True if the verb's clause negates it or names the sender as its subject. */
function isHarmless(before: string): boolean {
  const clause = before.split(clauseEnd).at(-1) ?? '';
  return refusal.test(clause) || ownDeed.test(clause);
}

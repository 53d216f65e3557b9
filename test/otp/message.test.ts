import { describe, expect, it } from 'vitest';
import {
  brokenContentRules,
  contentRuleMessages,
  namesBrand,
  parseMessage,
  senderIdShape,
} from '../../src/otp/message.js';

const filled = (length: number, letter = 'a') => `${letter.repeat(length - 6)}%OTP%`;

describe('parseMessage', () => {
  it.each([
    [filled(153), 1],
    [filled(154), 2],
    [filled(63, '验'), 1],
    [filled(64, '验'), 2],
  ])('bills a credit per 153 ASCII or 63 Unicode characters', (template, credits) => {
    expect(parseMessage(template)).toMatchObject({ credits });
  });

  it('counts characters of the GSM extension table twice', () => {
    expect(parseMessage(`${'a'.repeat(146)}{%OTP%`)).toMatchObject({ credits: 2, unicode: false });
  });

  it.each(['Your code', '%OTP% and %OTP%', '%otp%'])('refuses %s: no single placeholder', (template) => {
    expect(parseMessage(template)).toEqual({ problem: 'must hold %OTP% exactly once' });
  });

  it.each(['a\u0000%OTP%', 'a\u001b%OTP%', 'a\ud800%OTP%'])('refuses control characters', (template) => {
    expect(parseMessage(template)).toHaveProperty('problem');
  });

  it('refuses a message of more than five credits', () => {
    expect(parseMessage(filled(765))).toMatchObject({ credits: 5 });
    expect(parseMessage(filled(766))).toHaveProperty('problem');
  });
});

describe('senderIdShape', () => {
  it('allows letters and digits, at most 11', () => {
    expect(['MyApp', 'A1', 'abcdefghijk'].every((id) => senderIdShape.test(id))).toBe(true);
    expect(['', 'My App', 'abcdefghijkl', 'é'].some((id) => senderIdShape.test(id))).toBe(false);
  });
});

const size = 100_000;

const harmless = [
  'Your verification code is %OTP%. Do not share it with anyone.',
  'Your one-time password is %OTP%. Never give your password to anyone',
  'Enter %OTP% to confirm your login',
  'Jangan kongsi kod ini. Kod pengesahan anda ialah %OTP%',
  '请勿向任何人提供验证码 %OTP%',
  'TAC: %OTP%',
  'Kod pengesahan anda ialah %OTP%',
  'Your code for MyApp is %OTP%, sent by MyApp.',
  'Keep it to yourself, e.g. tell no colleague: %OTP%',
  'Contoh Sdn.Bhd: %OTP%',
  'Contoh Sdn. Bhd. Your code is %OTP%.',
  'Our app version 2.0 needs the code %OTP%',
  'App v1.2.3 and version 1.2.3.4: %OTP%',
  'Lazada: %OTP% is your code',
  '%OTP% is your code.Do not share it.My team thanks you',
  '%OTP% ialah kod anda.Info lanjut dalam aplikasi',
  'RM1,234.56 to Shopee on 24/11/2026 10:30, code %OTP%',
  'RM0.00 Pay RM 10,000,000.00 with %OTP%',
  'Transfer of 1,234,567.89 MYR at 10:30:59 24-11-2026: %OTP%',
  'Pay RM 1234567.00 with %OTP%',
  'Pay 1234567.89 MYR with %OTP%',
  'Valid 01/11/2026-30/11/2026: %OTP%',
  'Expiry 11/2026 12/2027: %OTP%',
  'Seat 24 on 08/11 123456: %OTP%',
  'At 00:05 123456 points are yours with %OTP%',
  'Valid 01/11/2026 - 30/11/2026, 2026-11-24 10.30-11.45: %OTP%',
  'Session 2025/2026, 24 Nov 2026 10:30 pm: %OTP%',
  'Valid until 2026-11-24T10:30:00+08:00: %OTP%',
  'Ref TXN-123456-AB: %OTP%',
  'Ref INV/2026/123456 and A1234567: %OTP%',
  'Order 123456 (2 items) costs RM50. 1000 points used. Code %OTP%',
  'Order #123456 is ready, code %OTP% valid for 5 minutes',
  'Card ending 1234: code %OTP%',
  'Enter %OTP% to reset your password',
  'Use %OTP% to update your password. If this was not you, change your PIN in the app',
  'Enter the one-time PIN %OTP% within 5 min',
  'Your PIN is %OTP%, enter it to continue',
  'Enter PIN %OTP%',
  'Enter the one-time password that we show: %OTP%',
  'Send YES to reset your password. %OTP%',
  'We will send your PIN by post. %OTP%',
  '请输入此密码登录:%OTP%',
  'Enter this PIN to continue: %OTP%',
  'Do not share, give or send your password or PIN. Code: %OTP%',
  "Code %OTP%. We'll never ask you to provide your IC number or card number",
  'Confirm your PIN change with %OTP%',
  'To confirm your account number, use %OTP%',
  'Masukkan %OTP% untuk menukar kata laluan anda',
  'Kod untuk kemas kini kata laluan: %OTP%. Sah 5 minit',
  'Masukkan kata laluan sekali guna %OTP%',
  'Jangan kongsi atau berikan kata laluan dan nombor kad pengenalan kepada sesiapa. TAC %OTP%',
  'Kami tidak akan meminta anda memberikan nombor akaun. Kod: %OTP%',
  '您的验证码是 %OTP%,5分钟内有效。请勿泄露',
  '请输入验证码 %OTP% 重置密码',
  '请输入动态密码 %OTP%',
  '请勿回复、发送或提供密码、身份证或银行卡号。验证码 %OTP%',
  '切勿将密码告诉他人。验证码:%OTP%',
  '我们已向您发送密码重置验证码 %OTP%',
  'You have 1,234,567 points, code %OTP%',
  'Yes/No? Sdn.Bhd. at 10 a.m./p.m.: %OTP%',
  'TAC %OTP%: transfer RM500.00 to acct 1234****5678',
  'OTP %OTP% a/c 1140***6677, card 5123 45** **** 1234',
  'We sent %OTP% to log in to +6012****789',
  'Kod %OTP% untuk nombor 012-***6789, IC 900101-**-1234',
  '手机号138****8000正在登录，验证码%OTP%',
  '柜号12-34-5，28日18:30前，验证码%OTP%',
  'Delivery 14:30-15:00 today, code %OTP%',
  '预约时间28日10:00-11:30，验证码%OTP%',
  'No.Siri/IC, Jln.Ampang/KL, Sdn.Bhd/PLT: %OTP%',
  'Kod %OTP% sah 5 minit.\nRujukan 123456',
];

const withLinks = [
  'Code %OTP%, see https://example.com/otp',
  'Code %OTP%: HTTP://EXAMPLE.MY',
  'Code %OTP%: hxxps://example.my',
  'Code %OTP%: h t t p s : / / example',
  'Code %OTP%: myapp://otp',
  'Code %OTP%: www.example',
  'Code %OTP%: w w w example',
  'Code %OTP% at example.com',
  'Code %OTP% at EXAMPLE.COM.MY.',
  'Code %OTP% at Example.Com.My now',
  'Code %OTP% at example.my/otp',
  'Code %OTP% at Example.My/otp',
  'Code %OTP% at example.gov.my',
  'Code %OTP% at example.my',
  'Code %OTP% at example.org',
  'Code %OTP% at example,com',
  'Code %OTP% at example.io',
  'Code %OTP% at example.app',
  'Code %OTP% at example.co.uk',
  'Code %OTP% at Example.Co.Id',
  'Code %OTP%: bit.ly/abc',
  'Code %OTP%: BIT . LY / abc',
  'Code %OTP%: wa.me/0',
  'Code %OTP%: t.me/example',
  'Code %OTP%: amzn.to',
  'Code %OTP%: example . com',
  'Code %OTP%: example .my',
  'Code %OTP%: example . c o m',
  'Code %OTP%: example[.]my and example dot my',
  'Code %OTP%: exam\u200bple.\u200bc\u2060om',
  'Code %OTP%: bit\u00ad.l\u200dy',
  'Code %OTP%: ｅｘａｍｐｌｅ．ｃｏｍ',
  'Code %OTP%: http：／／ｅｘａｍｐｌｅ',
  'Code %OTP%: http://203.0.113.9',
  'Code %OTP%: 203.0.113.9/otp',
  'Code %OTP%: xn--example-9d0b',
  'Layari example.com.my untuk kod %OTP%',
  'Sila klik example titik com, kod %OTP%',
  '请访问example.com查看 %OTP%',
  '验证码 %OTP%,点击 example点com',
  'Code %OTP%: example.photography/otp',
  'Code %OTP%: EXAMPLE.ZIP/',
  'Code %OTP%: example.quest?x=1',
  'Code %OTP%: example.quest#a',
  'Code %OTP%: example.quest\\otp',
  'Code %OTP%: example.例子/otp',
];

const withNumbers = [
  'Code %OTP%. Call 03-0000 0000',
  'Code %OTP%. Call 0300000000',
  'Code %OTP%. Call (03) 0000-0000.',
  'Code %OTP%. Call +60 3-0000 0000',
  'Code %OTP%. Call +60(3)0000.0000',
  'Code %OTP%. Call 6030000 0000 before 24/11/2026',
  'Code %OTP%. Call 000 0000',
  'Code %OTP%. Call 082-000000',
  'Code %OTP%. Call 0 3 0 0 0 0 0 0 0 0',
  'Code %OTP%. Call 03 – 0000 0000',
  'Code %OTP%. Call ０３-００００ ００００',
  'Code %OTP%. Call 03\u200b-0000\u200b 0000',
  'Code %OTP%. Call03-0000 0000',
  'Code %OTP%. Call 0300000000now',
  'Code %OTP%. Call 1-300-00-0000',
  'Code %OTP%. Call 1-800-00-0000',
  'Code %OTP%. Call 1800-88-0000',
  'Code %OTP%. Call 1 300 88 0000',
  'Code %OTP%. Call 1-300-EXAMPLE',
  'RM50 paid, code %OTP%, 03-0000 0000',
  'Kod %OTP%. Hubungi 03-00000000',
  'Kod %OTP%. Hubungi:+6030000 0000',
  '验证码 %OTP%,致电03-0000 0000',
  '验证码 %OTP%,客服 1-300-88-0000',
  'Code %OTP%. Call 03*0000*0000',
  'Code %OTP%. Call 03_0000_0000',
  'Code %OTP%. Call 03 • 0000 • 0000',
  'Code %OTP%. Call 03 | 0000 | 0000',
  'Code %OTP%. Call 03, 0000, 0000',
  'Code %OTP%. Call 03-0000\n0000',
  'Code %OTP%. Call 03 ~~~~~ 0000 ~~~~~ 0000',
  'Code %OTP%. Call ٠٣-٠٠٠٠ ٠٠٠٠',
  'Code %OTP%. Call ०३-०००० ००००',
  'Code %OTP%. Call ߀߃-߀߀߀߀ ߀߀߀߀',
];

const withRequests = [
  'Reply with your IC number, code %OTP%',
  'Send us your NRIC. %OTP%',
  'PLEASE PROVIDE YOUR PASSPORT NUMBER. %OTP%',
  'Code %OTP%. Please enter your card number and CVV',
  'Reply %OTP% and your MyKad number',
  'Code %OTP%. Confirm your account no. by SMS',
  'Code %OTP%. Update your password now',
  'Code %OTP%. Give your PIN to our agent',
  'Share your password with our agent. %OTP%',
  'Do not share this code, reply with your IC number. %OTP%',
  'If this was not you, send your card number. %OTP%',
  'Please provide:\n- IC number\n%OTP%',
  'Your IC number: please reply. %OTP%',
  'Reply with your No. I.C. and %OTP%',
  'Reply with your \u200bI\u200bC number %OTP%',
  'Ｒｅｐｌｙ ｗｉｔｈ ｙｏｕｒ ＰＩＮ. %OTP%',
  'Hantar nombor kad pengenalan anda. Kod %OTP%',
  'Sila balas dengan No. Akaun anda. %OTP%',
  'Balas dengan nombor akaun bank, kod %OTP%',
  'Berikan kata laluan anda. %OTP%',
  'Masukkan PIN kad anda, kod %OTP%',
  'Kongsi nombor kad kredit anda. %OTP%',
  'Sahkan nombor akaun anda. %OTP%',
  'Sila kemas kini kata laluan. %OTP%',
  '请回复您的身份证号码。验证码 %OTP%',
  '请发送银行卡号,验证码 %OTP%',
  '请提供您的密码。%OTP%',
  '請回覆身分證號碼。%OTP%',
  'Reply with your i/c and %OTP%',
  '请输入您的账号和密码。%OTP%',
  '请将身份证号码发送给我们。%OTP%',
  '请勿泄露验证码,请回复身份证号码。%OTP%',
];

describe('brokenContentRules', () => {
  it.each(harmless)('allows %j', (template) => {
    expect(brokenContentRules(template, 'MY')).toEqual([]);
  });

  it.each(withLinks)('finds the link, and only it, in %j', (template) => {
    expect(brokenContentRules(template, 'MY')).toEqual(['link']);
  });

  it.each(withNumbers)('finds the call-back number, and only it, in %j', (template) => {
    expect(brokenContentRules(template, 'MY')).toEqual(['callback_number']);
  });

  it.each(withRequests)('finds the request for personal data, and only it, in %j', (template) => {
    expect(brokenContentRules(template, 'MY')).toEqual(['personal_data']);
  });

  it('names each broken rule once, in the order of the list', () => {
    const template =
      'Send your PIN, send your IC, call 03-0000 0000 or 1-300-88-0000, bit.ly, example.com %OTP%';
    expect(brokenContentRules(template, 'MY')).toEqual(['link', 'callback_number', 'personal_data']);
  });

  it('ignores messages to other countries', () => {
    expect(brokenContentRules('Send your PIN to 03-0000 0000 or example.com %OTP%', 'SG')).toEqual([]);
  });
});

describe('namesBrand', () => {
  it.each([
    ['Your shop code is %OTP%', 'Shop', true],
    ["Shop's code: %OTP%", 'SHOP', true],
    ['Ｓｈｏｐ: %OTP%', 'Shop', true],
    ['Shopping code: %OTP%', 'Shop', false],
    ['Workshop code: %OTP%', 'Shop', false],
    ['Shopping at Shop: %OTP%', 'Shop', true],
    ['Your code: %OTP%', 'OTP', false],
    ['Shop%OTP% is your code', 'Shop', false],
    ['%OTP%Shop', 'Shop', false],
    ['Shop:%OTP%', 'Shop', true],
    ['您的大众验证码 %OTP%', '大众', true],
    ['Your code is %OTP%', 'Shop', false],
    ['Touch  n Go %OTP%', 'touch n go', true],
  ])('tells of %j whether it names %s', (message, brand, names) => {
    expect(namesBrand(message, brand)).toBe(names);
  });
});

describe('brokenContentRules on hostile input', () => {
  it.each([
    'a',
    ' ',
    '0',
    '0 ',
    '1,',
    '1.1.',
    '0-',
    '.',
    'a.',
    'a .',
    '\n',
    'w',
    'w ',
    'h ',
    '[',
    'rm1',
    '1-',
    '1/1/',
    '1:11',
    '+(',
    'a-',
    '0a',
    'reply ',
    'reply,',
    'ic ',
    '%OTP% ',
    'never reply ic ',
    'reply reset ic ',
    'enter %OTP% to ic ',
    '将密',
    '将密码',
    '\u200b',
    '０',
    '密码',
    '勿回复密码',
    '回复和code ic ',
    '把',
    'a.a',
    '0*',
    '0~~~~',
    '٠',
    '1,000,',
  ])('takes time linear in its length: %j', (shape) => {
    const [short, long] = [leastMs(shape, size / 4), leastMs(shape, size)];
    // Four times as much takes four times as long, and with the noise of a machine eight; were it the square, sixteen.
    expect(long).toBeLessThan(8 * Math.max(short, 1));
  });
});

/** What judging so many characters takes of this process's own time, at its quickest: other work can only add to it. */
function leastMs(shape: string, characters: number): number {
  const template = `never reply ic ${shape.repeat(characters / shape.length)}`;
  const tookMs = Array.from({ length: 5 }, () => {
    const started = process.cpuUsage();
    brokenContentRules(template, 'MY');
    const { user, system } = process.cpuUsage(started);
    return (user + system) / 1_000;
  });
  return Math.min(...tookMs);
}

describe('contentRuleMessages', () => {
  it.each(Object.keys(contentRuleMessages) as (keyof typeof contentRuleMessages)[])(
    'says in one sentence how to correct %s',
    (rule) => {
      expect(contentRuleMessages[rule]).toMatch(/^must not .+MCMC/);
    },
  );
});

import { expect, test } from 'vitest';
import type { SendOutcome } from '../../src/otp/outcome.js';
import { canaries, echoed, ids, sendCall, windowOf } from './account.js';
import { always, reply } from './fake-provider.js';
import { setScene } from './scene.js';

const accepted: SendOutcome = { kind: 'accepted', ...ids };
const odd: SendOutcome = { kind: 'unknown', reason: 'reply_wrong_shape' };
const accountTrouble = (trouble: 'authentication_failed' | 'insufficient_credits'): SendOutcome => ({
  kind: 'account_trouble',
  trouble,
});
const unrecognised = (text: string): SendOutcome => ({ kind: 'unrecognised', failure: 'rejected', text });
const success = { ...echoed, status: 'Success', username: 'canary-user' };
const failed = (message?: unknown) => ({ ...echoed, status: 'Failed', message });

const replies: [string, unknown, SendOutcome][] = [
  ['a success', success, accepted],
  ['a success in odd case', { ...success, status: ' SUCCESS ' }, accepted],
  ['a success with a numeric sms_id', { ...success, sms_id: Number(ids.smsId) }, accepted],
  ['a success without uuid', { ...success, uuid: undefined }, odd],
  ['a success without sms_id', { ...success, sms_id: undefined }, odd],
  ['a success with an empty uuid', { ...success, uuid: '' }, odd],
  ['a success with a null sms_id', { ...success, sms_id: null }, odd],
  ['a success with markup for a uuid', { ...success, uuid: '<b>1</b>' }, odd],
  ['a success with an endless uuid', { ...success, uuid: 'a'.repeat(65) }, odd],
  ['a success with an endless sms_id', { ...success, sms_id: '1'.repeat(33) }, odd],
  ['a success with an sms_id that lost digits', { ...success, sms_id: 1e20 }, odd],
  ['a success with a list for a uuid', { ...success, uuid: [ids.uuid] }, odd],
  ['ids without a status', echoed, odd],
  ['a status of another call', { ...echoed, status: 'Verified' }, odd],
  ['a status that is no text', { ...success, status: true }, odd],
  ['a list', [success], odd],
  ['null', null, odd],
  ['a number', 2000, odd],
  ['a failure with ids and code', failed('Authentication Failed'), accountTrouble('authentication_failed')],
  ['a failure in odd case', failed('  authentication\n FAILED. '), accountTrouble('authentication_failed')],
  ['a failure by code', failed('-1004 whatever'), accountTrouble('insufficient_credits')],
  ['a failure by numeric code', failed(-1004), accountTrouble('insufficient_credits')],
  [
    'a failure by its negative code',
    { ...failed('Sorry'), code: -1004 },
    accountTrouble('insufficient_credits'),
  ],
  ['a failure by a code in text', { ...failed(), code: ' -1001 ' }, accountTrouble('authentication_failed')],
  [
    'a failure whose code and words differ',
    { ...failed('Authentication Failed'), code: '-1009' },
    { kind: 'rejected', failure: 'invalid_number' },
  ],
  ['a failure whose code is an OTP', { ...failed(), code: 1004 }, unrecognised('')],
  ['an unknown bare code', -1000, { kind: 'rejected', failure: 'rejected', text: '-1000' }],
  ['a bad number', failed('-1009'), { kind: 'rejected', failure: 'invalid_number' }],
  ['a bad message', failed('-1006'), { kind: 'rejected', failure: 'message_refused' }],
  ['an unheard-of failure', failed(`no ${canaries.sentCode}`), unrecognised('no …')],
  [
    'a failure in Malay',
    failed('Baki kredit anda tidak mencukupi.'),
    unrecognised('Baki kredit anda tidak mencukupi.'),
  ],
  ['a failure in Chinese', failed('余额不足，请充值。'), unrecognised('余额不足，请充值。')],
  ['an unknown error', failed('-1000 Unknown error'), unrecognised('-1000 Unknown error')],
  [
    'a failure that quotes the call',
    failed(
      `user canary-user, pass ${canaries.password}, +60${canaries.national} at https://x/request.php: no`,
    ),
    unrecognised('user …, pass … at … no'),
  ],
  ['an endless failure', failed('ab '.repeat(1_000)), unrecognised(`${'ab '.repeat(39)}ab…`)],
  ['a failure without message', failed(), unrecognised('')],
  // Half of a letter of two units would make JSON that Redis cannot read.
  [
    'a failure cut within a letter',
    failed(`${'a'.repeat(118)}𠀀𠀀`),
    unrecognised(`${'a'.repeat(118)}\ufffd…`),
  ],
  ['a failure with an odd message', failed({ a: 1 }), unrecognised('…')],
  ['a bare numeric code', -1001, accountTrouble('authentication_failed')],
  ['a code in a JSON string', '-1004 insufficient credits', accountTrouble('insufficient_credits')],
];

test.each(replies)('%s is read for what it is', async (_, body, outcome) => {
  const { provider } = await setScene(always(reply(JSON.stringify(body))));
  expect(await provider.send(sendCall, windowOf())).toEqual(outcome);
});

test.each<[string, SendOutcome]>([
  ['-1001 authentication failed', accountTrouble('authentication_failed')],
  [' -1004\r\n', accountTrouble('insufficient_credits')],
  ['-1009,60123', { kind: 'rejected', failure: 'invalid_number' }],
  ['2000 success', { kind: 'unknown', reason: 'reply_not_json' }],
  ['Authentication Failed', accountTrouble('authentication_failed')],
  ['You have run out of credits. Please reload your credits.', accountTrouble('insufficient_credits')],
  ['<p>You have run out of credits.</p>', { kind: 'unknown', reason: 'reply_not_json' }],
  ['Invalid number', { kind: 'unknown', reason: 'reply_not_json' }],
  ['['.repeat(30_000) + ']'.repeat(30_000), odd],
  ['-10011', { kind: 'unknown', reason: 'reply_wrong_shape' }],
  [`${JSON.stringify(success)} `, accepted],
  [`\ufeff${JSON.stringify(success)}`, accepted],
  [`${JSON.stringify(success)}<br>`, { kind: 'unknown', reason: 'reply_not_json' }],
])('the bare body %j is read for what it is', async (body, outcome) => {
  const { provider } = await setScene(always(reply(body)));
  expect(await provider.send(sendCall, windowOf())).toEqual(outcome);
});

test('a send carries exactly what the vendor documents, encoded', async () => {
  const { provider, server } = await setScene(always(reply('{}')));
  await provider.send(sendCall, windowOf());
  await provider.send({ ...sendCall, message: 'Kod 码 %OTP%', unicode: true, senderId: 'Acme' }, windowOf());
  expect(server.targets[0]).toContain('message=Your+code+%26+more%3A+%25OTP%25&');
  const account = {
    un: 'canary-user',
    pass: canaries.password,
    mobile: canaries.national,
    country_code: '60',
  };
  expect(server.targets.map(parse)).toEqual([
    { ...account, message: 'Your code & more: %OTP%', type: '1' },
    { ...account, message: 'Kod 码 %OTP%', type: '2', sendid: 'Acme' },
  ]);
});

function parse(target: string): Record<string, string> {
  const url = new URL(target, 'http://127.0.0.1');
  expect(url.pathname).toBe('/2FA/request.php');
  return Object.fromEntries(url.searchParams);
}

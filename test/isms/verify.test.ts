import { expect, test } from 'vitest';
import type { VerifyOutcome } from '../../src/otp/outcome.js';
import { canaries, echoed, ids, verifyCall } from './account.js';
import { always, reply } from './fake-provider.js';
import { setScene } from './scene.js';

const correct: VerifyOutcome = { kind: 'correct' };
const incorrect: VerifyOutcome = { kind: 'incorrect' };
const unrecognised = (text: string): VerifyOutcome => ({ kind: 'unrecognised', text });
const odd: VerifyOutcome = { kind: 'unavailable', reason: 'reply_wrong_shape' };
const verified = { ...echoed, status: 'Verified' };
const failed = (message?: unknown) => ({ ...echoed, status: 'Failed', message });

const replies: [string, unknown, VerifyOutcome][] = [
  ['Verified', verified, correct],
  ['Verified with a numeric sms_id', { ...verified, sms_id: Number(ids.smsId) }, correct],
  ['Verified without ids', { status: 'Verified' }, odd],
  ["Verified with another OTP's uuid", { ...verified, uuid: ids.uuid.replace('b', 'c') }, odd],
  ["Verified with another OTP's sms_id", { ...verified, sms_id: '1171081026' }, odd],
  ['Verified with no usable uuid', { ...verified, uuid: null }, odd],
  ['Verified in other letters', { ...verified, status: 'verified' }, odd],
  ['Verified in a list', [verified], odd],
  ['Success', { ...verified, status: 'Success' }, odd],
  ['a status of true', { ...verified, status: true }, odd],
  ['no status', echoed, odd],
  ['the incorrect code', failed('Incorrect OTP Code'), incorrect],
  ['the expired code', failed('OTP Expired'), incorrect],
  ['the wrong PIN', failed('Wrong PIN entered'), incorrect],
  ['the code that does not match', failed('OTP code does not match'), incorrect],
  ['the unheard-of failure', failed('Sorry'), unrecognised('Sorry')],
  ['the failure in Malay', failed('Sistem tergendala'), unrecognised('Sistem tergendala')],
  ['the unknown ids', failed('Invalid UUID or SMS ID'), unrecognised('Invalid UUID or SMS ID')],
  ['the failure by a code that is no trouble', { ...failed('No'), code: -1008 }, unrecognised('No')],
  ['the failure without message', failed(), unrecognised('')],
  ['trouble by text', failed('Authentication Failed'), trouble('authentication_failed')],
  ['trouble by code', failed('-1003'), trouble('ip_not_allowed')],
  ['bare trouble', -1002, trouble('account_suspended')],
  ['a bare code that is no trouble', -1008, odd],
];

function trouble(reason: 'authentication_failed' | 'ip_not_allowed' | 'account_suspended'): VerifyOutcome {
  return { kind: 'unavailable', reason };
}

test.each(replies)('%s is read for what it is', async (_, body, outcome) => {
  const { provider, server } = await setScene(always(reply(JSON.stringify(body))));
  expect(await provider.verify(verifyCall)).toEqual(outcome);
  expect(server.targets).toHaveLength(1);
});

test.each([400, 401, 404])('Verified with status %d does not verify', async (status) => {
  const { provider } = await setScene(always(reply(JSON.stringify(verified), status)));
  expect(await provider.verify(verifyCall)).toEqual(odd);
});

test('a verification carries exactly what the vendor documents', async () => {
  const { provider, server } = await setScene(always(reply('{}')));
  await provider.verify(verifyCall);
  await provider.verify({ ...verifyCall, senderId: 'Acme' });
  const expected = {
    un: 'canary-user',
    pass: canaries.password,
    mobile: canaries.national,
    country_code: '60',
    method: 'verify',
    code: canaries.enteredCode,
    sms_id: ids.smsId,
    uuid: ids.uuid,
    interval: '5',
  };
  const parsed = server.targets.map((target) =>
    Object.fromEntries(new URL(target, 'http://127.0.0.1').searchParams),
  );
  expect(parsed).toEqual([expected, { ...expected, sendid: 'Acme' }]);
});

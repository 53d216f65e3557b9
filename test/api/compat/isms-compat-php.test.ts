import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { fullGatewayKey, startFullGateway } from '../../support/full-gateway.js';
import { connect } from '../../support/redis.js';

await connect();
const gateway = await startFullGateway({ ISMS_COMPAT_API: 'get', LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0' });
afterAll(() => gateway.close());

type Answer = Record<string, string>;

/** Runs the PHP app against the gateway, as `shop` unless another key is given. */
async function php(method: 'get' | 'post', step: string[], key = fullGatewayKey): Promise<Answer> {
  const url = `${gateway.url}/2FA/request.php`;
  const args = ['test/api/compat/php/login.php', url, method, 'shop', key, ...step];
  const { stdout } = await promisify(execFile)('php', args);
  return JSON.parse(stdout) as Answer;
}

describe('a PHP app written for iSMS', () => {
  it.each(['get', 'post'] as const)('signs a user in by %s, and never sees the code', async (method) => {
    const mobile = method === 'get' ? '123456701' : '0123456702';
    const to = `+60${mobile.replace(/^0/, '')}`;
    const sent = await php(method, ['send', mobile, 'Kod anda %OTP%']);
    expect(sent).toMatchObject({ status: 'Success', code: '******', mobile: to, username: 'shop' });
    expect(sent['uuid']).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
    const code = gateway.codeOf(to);
    expect(JSON.stringify(sent)).not.toContain(code);
    const ids = [mobile, String(sent['uuid']), String(sent['sms_id'])];
    const wrong = code === '000000' ? '000001' : '000000';
    expect(await php(method, ['verify', ...ids, wrong])).toMatchObject({
      status: 'Failed',
      message: 'Incorrect OTP Code',
      code: '******',
    });
    expect(await php(method, ['verify', ...ids, code])).toMatchObject({ status: 'Verified', uuid: ids[1] });
    expect(await php(method, ['verify', ...ids, code])).toMatchObject({ status: 'Failed' });
  });

  it('reads the balance from the latest snapshot', async () => {
    await expect
      .poll(() => php('post', ['balance']))
      .toMatchObject({
        method: 'balance',
        balance: expect.stringMatching(/^\d+\.\d$/),
        expiration: expect.stringMatching(/^\d\d [A-Z][a-z]{2} \d{4}$/),
      });
  });

  it('reads errors where iSMS puts them', async () => {
    expect(await php('post', ['send', '123456703', '%OTP%'], 'x'.repeat(30))).toEqual({
      status: 'Failed',
      message: 'Authentication Failed',
    });
    expect(await php('post', ['send', '123', '%OTP%'])).toMatchObject({ status: 'Failed' });
    expect(await php('post', ['send', '123456703', 'no code in it'])).toMatchObject({
      status: 'Failed',
      message: 'message must hold %OTP% exactly once',
    });
    // The simulator refuses numbers that end so.
    const refused = await php('post', ['send', '190000021', '%OTP%']);
    expect(refused['status']).toBe('Failed');
  });

  it('leaves no key, code or number in the log, even by GET', () => {
    for (const text of [gateway.api.output, gateway.worker.output]) {
      expect(text).not.toContain(fullGatewayKey);
      expect(text).not.toMatch(/123456701|123456702|Kod anda/);
    }
    expect(gateway.api.output).toMatch(/"route":"\/2FA\/request.php","app":"shop","otpId":"otp_/);
  });
});

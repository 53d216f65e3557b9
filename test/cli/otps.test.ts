import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FullGateway, startFullGateway } from '../support/full-gateway.js';
import { connect } from '../support/redis.js';
import { run, settingsFor } from './run-terminal.js';

let gateway: FullGateway;
beforeAll(async () => {
  await connect();
  gateway = await startFullGateway({ LIMIT_RECIPIENT_COOLDOWN_SECONDS: '0' });
});
afterAll(() => gateway.close());

const ask = (...args: string[]) => run(args, { env: settingsFor(gateway) });
const send = async (to: string, ...options: string[]) =>
  ((await ask('send', to, '--json', ...options)).json() as { id: string }).id;

describe('otps list', () => {
  it('lists the newest first, by status, purpose and time', async () => {
    expect((await ask('otps', 'list')).out).toBe('no OTPs\n');
    const first = await send('+60123000001', '--reference', 'order-1');
    const second = await send('+60123000002', '--purpose', 'login');
    const { out, code } = await ask('otps', 'list');
    expect(code).toBe(0);
    expect(out).toMatch(/^otp +created +status +to +purpose +reference\n/);
    expect(out.indexOf(second)).toBeLessThan(out.indexOf(first));
    expect(out).toMatch(new RegExp(`^${first} .* sent +\\+60123000001 +order-1$`, 'm'));
    const idsOf = async (...args: string[]) => {
      const { otps } = (await ask('otps', 'list', '--json', ...args)).json() as { otps: { id: string }[] };
      return otps.map(({ id }) => id);
    };
    expect(await idsOf('--limit', '1')).toEqual([second]);
    expect(await idsOf('--purpose', 'login')).toEqual([second]);
    expect(await idsOf('--status', 'verified')).toEqual([]);
    expect(await idsOf('--since', new Date(Date.now() + 60_000).toISOString())).toEqual([]);
    expect(await idsOf('--since', '2020-01-01')).toEqual([second, first]);
    expect(await idsOf('--until', '2020-01-01')).toEqual([]);
  });

  it('says which option is wrong', async () => {
    expect(await ask('otps', 'list', '--status', 'lost')).toMatchObject({
      code: 2,
      err: expect.stringContaining('--status'),
    });
    expect(await ask('otps', 'list', '--since', 'yesterday')).toMatchObject({
      code: 2,
      err: expect.stringContaining('a date such as 2026-11-25 (00:00 UTC)'),
    });
    expect(await ask('otps', 'list', '--batch', `batch_${'a'.repeat(22)}`)).toMatchObject({
      code: 1,
      err: expect.stringContaining('(batch_not_found)'),
    });
  });
});

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

describe('stats', () => {
  it('shows a row for each time and group, and all members as JSON', async () => {
    expect(await ask('stats')).toMatchObject({ code: 0, err: '', out: 'no OTPs\n' });
    await ask('send', '+60123000001', '--purpose', 'login');
    await ask('send', '+60190000002', '--purpose', 'login');
    await ask('send', '12');
    // Processes write their counts every few seconds.
    const read = async () => (await ask('stats', '--by', 'purpose', '--step', '1d', '--json')).json();
    await expect.poll(read).toMatchObject({
      ...{ by: 'purpose', step: '1d' },
      rows: [
        { group: null, rejected: { invalid_phone_number: 1 } },
        { group: 'login', accepted: 2, sent: 1, failed: { invalid_number: 1 }, credits: 1 },
      ],
    });
    const { out } = await ask('stats', '--by', 'purpose');
    expect(out).toMatch(
      /^start +purpose +accepted +rejected +sent +verified +conversion +median +failed +unknown +credits\n/,
    );
    expect(out).toMatch(/^\d{4}-\S+Z +login +2 +0 +1 +0 +0\.0 % +1 +0 +1$/m);
    expect((await ask('stats')).out).toMatch(/^start +accepted .*\n\S+Z +2 +1 +1 .*\n$/);
  });

  it('says which option is wrong', async () => {
    expect(await ask('stats', '--by', 'number')).toMatchObject({
      code: 2,
      err: expect.stringContaining('--by'),
    });
    expect(await ask('stats', '--since', '2020-01-01T00:00:00Z')).toMatchObject({
      code: 1,
      err: expect.stringContaining('since must be at most 35 days ago'),
    });
  });
});

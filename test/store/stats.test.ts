import { beforeEach, describe, expect, it } from 'vitest';
import { slotMs } from '../../src/lib/tally.js';
import { createStats } from '../../src/store/stats.js';
import { connect } from '../support/redis.js';

const redis = await connect();
const stats = createStats(redis);
beforeEach(() => redis.flushdb());

describe('the statistics', () => {
  it('add up what is counted, and keep the most that is seen, in the running five minutes', async () => {
    await stats.add({ sent: 2 }, { waiting: 7 });
    await stats.add({ sent: 3, failed: 1 }, { waiting: 4 });
    await stats.add({ sent: 1 });
    const slots = await stats.read(Date.now() - 3 * slotMs);
    expect(slots.map(({ at }) => at % slotMs)).toEqual([0, 0, 0, 0]);
    const sum = slots.reduce((total, { values }) => total + (values['sent'] ?? 0), 0);
    expect(sum).toBe(6);
    expect(slots.find(({ values }) => values['waiting'] !== undefined)?.values['waiting']).toBe(7);
    expect(slots[0]?.values).toEqual({});
  });

  it('go after 8 days', async () => {
    await stats.add({ sent: 1 });
    const [key = ''] = await redis.keys('*');
    expect(await redis.pttl(key)).toBeGreaterThan(7 * 86_400_000);
    expect(await redis.pttl(key)).toBeLessThanOrEqual(8 * 86_400_000);
  });
});

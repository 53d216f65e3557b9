import { beforeEach, describe, expect, it } from 'vitest';
import { type AuditEntry, createAudit } from '../../src/store/audit.js';
import { connect } from '../support/redis.js';

const redis = await connect();
const audit = createAudit(redis, 30);
const dayMs = 86_400_000;
const noon = Math.floor(Date.now() / dayMs) * dayMs - 10 * dayMs + dayMs / 2;
const entry = (at: number, more: Partial<AuditEntry> = {}): AuditEntry => ({
  at,
  actor: 'app:shop',
  action: 'createOtp',
  result: '202',
  ...more,
});
const read = async (since: number, until: number) => {
  const entries: AuditEntry[] = [];
  for await (const one of audit.read(since, until)) entries.push(one);
  return entries;
};

beforeEach(() => redis.flushdb());

describe('the audit trail', () => {
  it('is read in order, over days, from one moment to before another', async () => {
    const moments = [noon - dayMs, noon, noon + 1, noon + dayMs];
    for (const at of moments) await audit.add(entry(at, { subject: `otp_${at}` }));
    const all = await read(noon - 2 * dayMs, noon + 2 * dayMs);
    expect(all.map(({ at }) => at)).toEqual(moments);
    expect(all[0]).toEqual(entry(noon - dayMs, { subject: `otp_${noon - dayMs}` }));
    expect((await read(noon, noon + 1)).map(({ at }) => at)).toEqual([noon]);
    expect(await read(noon + 2, noon + dayMs)).toEqual([]);
  });

  it('holds more than one read of a day, none twice', async () => {
    await Promise.all(Array.from({ length: 2_500 }, (_, i) => audit.add(entry(noon + i))));
    const found = await read(noon, noon + dayMs);
    expect(new Set(found.map(({ at }) => at)).size).toBe(2_500);
    expect(found).toHaveLength(2_500);
  });

  it('goes when its days are over, and is not kept where that is off', async () => {
    await audit.add(entry(noon));
    const [key = ''] = await redis.keys('*');
    expect(await redis.pttl(key)).toBeGreaterThan(30 * dayMs);
    expect(await redis.pttl(key)).toBeLessThanOrEqual(31 * dayMs);
    await redis.flushdb();
    await createAudit(redis, 0).add(entry(noon));
    expect(await redis.keys('*')).toEqual([]);
  });
});

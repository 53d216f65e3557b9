import { describe, expect, it } from 'vitest';
import { expectProblem, startGateway } from '../gateway.js';

const gateway = await startGateway();

describe('health: 503', () => {
  it('/livez fails once the process shuts down', async () => {
    const ending = await startGateway({ dependencies: { isEnding: () => true } });
    expectProblem(await ending.call('GET', '/livez', { key: null }), 503, 'not_live');
  });
});

describe('health: 200', () => {
  it.each(['/livez', '/readyz'])('%s answers without a key', async (path) => {
    expect(await gateway.call('GET', path, { key: null })).toMatchObject({
      status: 200,
      json: { status: 'ok' },
    });
    expect(await gateway.call('HEAD', path, { key: null })).toMatchObject({ status: 200, text: '' });
  });

  it('/readyz shares one probe of Redis per 500 ms among its clients', async () => {
    let probes = 0;
    const probe = async () => {
      probes += 1;
      await gateway.store.probe();
    };
    const asked = await startGateway({ dependencies: { store: { ...gateway.store, probe } } });
    const since = performance.now();
    for (let i = 0; i < 5; i++) {
      const replies = await Promise.all(
        Array.from({ length: 40 }, () => asked.call('GET', '/readyz', { key: null })),
      );
      expect(replies.every(({ status }) => status === 200)).toBe(true);
    }
    expect(probes).toBeLessThanOrEqual(1 + (performance.now() - since) / 500);
  });
});

import { describe, expect, it } from 'vitest';
import { startGateway } from './gateway.js';

const gateway = await startGateway();

describe('200', () => {
  it.each(['/livez', '/readyz'])('%s answers without a key', async (path) => {
    expect(await gateway.call('GET', path, { key: null })).toMatchObject({
      status: 200,
      json: { status: 'ok' },
    });
    expect(await gateway.call('HEAD', path, { key: null })).toMatchObject({ status: 200, text: '' });
  });
});

import { afterAll, expect, it } from 'vitest';
import { readGatewayState } from '../../src/main/shared-state.js';
import { connect } from '../support/redis.js';
import { createScene } from '../support/workers.js';

const scene = await createScene(await connect());
afterAll(() => scene.close());

it('the shared state adds up the OTPs that wait in batches by app and reason', async () => {
  const note = (batch: string, waiting: number, waitsFor: 'pace' | null) =>
    scene.store.waitingLines.note({ batch, app: 'shop', waiting, inFlight: 0, order: 1, waitsFor });
  await Promise.all([note('a', 5, 'pace'), note('b', 7, 'pace'), note('c', 9, null)]);
  const { store, queue: sendOtpQueue } = scene;
  const read = { store, sendOtpQueue, webhookQueue: null, apps: { all: () => [] } };
  const { inBatches } = await readGatewayState(read);
  expect(inBatches.sort((a, b) => a.otps - b.otps)).toEqual([
    { app: 'shop', reason: 'turn', otps: 9 },
    { app: 'shop', reason: 'pace', otps: 12 },
  ]);
});

import { expect, it } from 'vitest';
import { createLifecycle } from '../../src/main/lifecycle.js';

it('closes the newest part first, also one that is added meanwhile', async () => {
  const lifecycle = createLifecycle(() => {});
  const closed: string[] = [];
  const part = (name: string, meanwhile = () => {}) => ({
    close: async () => {
      closed.push(name);
      meanwhile();
    },
  });
  lifecycle.add(part('first'));
  lifecycle.add(part('second', () => void lifecycle.add(part('late'))));
  await lifecycle.close();
  expect(closed).toEqual(['second', 'late', 'first']);
});

import { afterEach, expect, vi } from 'vitest';
import type { IsmsOptions } from '../../src/isms/provider.js';
import type { Provider } from '../../src/otp/provider.js';
import { openAccount } from './account.js';
import { type Behaviour, type FakeProvider, startFakeProvider } from './fake-provider.js';

const scenes: { provider: Provider; server: FakeProvider }[] = [];

/** A fake provider and an account on it; after the test both are closed, and a leaked connection fails it. */
export async function setScene(behave: Behaviour, options: Partial<IsmsOptions> = {}, tls = false) {
  const server = await startFakeProvider(behave, tls);
  const scene = { server, provider: openAccount(server.url, options) };
  scenes.push(scene);
  return scene;
}

afterEach(async () => {
  for (const { provider, server } of scenes.splice(0)) {
    await provider.close();
    await vi.waitFor(() => expect(server.open, 'leaked connections').toBe(0), {
      interval: 5,
      timeout: 2_000,
    });
    await server.close();
  }
});

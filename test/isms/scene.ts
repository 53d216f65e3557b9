import { expect, onTestFinished, vi } from 'vitest';
import type { createIsmsProvider } from '../../src/isms/provider.js';
import { openAccount } from './account.js';
import { type Behaviour, startFakeProvider } from './fake-provider.js';

/** A fake provider and an account on it; after the test both are closed, and a leaked connection fails it. */
export async function setScene(
  behave: Behaviour,
  options: Partial<Parameters<typeof createIsmsProvider>[0]> = {},
  tls = false,
) {
  const server = await startFakeProvider(behave, tls);
  const provider = openAccount(server.url, options);
  onTestFinished(async () => {
    await provider.close();
    await vi.waitFor(() => expect(server.open, 'leaked connections').toBe(0), {
      interval: 5,
      timeout: 10_000,
    });
    await server.close();
  });
  return { provider, server };
}
